/** Damage to bytes in a range, in place. Says what was done. */
export function damage(bytes, offset, length, random) {
  const from = offset + random.below(length);
  const most = offset + length - from;
  const size = Math.max(1, Math.min(most, 1 + random.below(random.pick([4, 64, 1024]))));
  switch (random.below(6)) {
    case 0:
    case 1: {
      const flips = 1 + random.below(4);
      const places = Array.from({ length: flips }, () => offset + random.below(length));
      for (const at of places) bytes[at] ^= 1 << random.below(8);
      return `bits flipped at bytes ${places.join(', ')}`;
    }
    case 2:
      random.bytes(size).copy(bytes, from);
      return `${size} random bytes at ${from}`;
    case 3:
      bytes.fill(random.pick([0, 0xff]), from, from + size);
      return `${size} bytes at ${from} overwritten with one value`;
    case 4: {
      const other = offset + random.below(length - size + 1);
      const moved = Buffer.from(bytes.subarray(other, other + size));
      moved.copy(bytes, from);
      return `${moved.length} bytes of ${other} at ${from}`;
    }
    default:
      // What is missing in the middle: the rest moves up.
      bytes.copy(bytes, from, from + size, offset + length);
      return `${size} bytes at ${from} taken out`;
  }
}

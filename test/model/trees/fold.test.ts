/** What a graph does to columns, folded into thresholds: every row takes the same way as before, to the last bit. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applySteps, whereHolds, type Step } from '../../../src/model/trees/column-function.js';
import { MODE, type Ensemble, type Mode } from '../../../src/model/trees/ensemble.js';
import { floatAbove, floatBelow, type Precision } from '../../../src/model/trees/floats.js';
import { foldEnsemble, NotFoldable } from '../../../src/model/trees/fold.js';
import { leafOf } from '../../support/reference-trees.js';

/** A question at the root, and two leaves: 1 where it is answered with yes. */
function stump(mode: Mode, threshold: number, missingTrue: boolean, precision: Precision): Ensemble {
  return {
    precision,
    width: 3,
    roots: Int32Array.of(0),
    nodes: {
      mode: Uint8Array.of(mode, MODE.leaf, MODE.leaf),
      feature: Int32Array.of(2, 0, 0),
      threshold: Float64Array.of(threshold, 0, 0),
      missingTrue: Uint8Array.of(missingTrue ? 1 : 0, 0, 0),
      trueChild: Int32Array.of(1, 0, 0),
      falseChild: Int32Array.of(2, 0, 0),
      firstWeight: Int32Array.of(0, 0, 1, 2),
    },
    weightTarget: Int32Array.of(0, 0),
    weight: Float64Array.of(1, 0),
    targets: 1,
    base: new Float64Array(0),
    aggregate: 'SUM',
    postTransform: 'NONE',
  };
}

const round = { float32: Math.fround, float64: (x: number): number => x };

/** Numbers of a precision: all sizes, both signs, infinities. */
const numbers = (precision: Precision): fc.Arbitrary<number> =>
  precision === 'float32' ? fc.float({ noNaN: true }) : fc.double({ noNaN: true });
const constants = (precision: Precision): fc.Arbitrary<number> =>
  fc.oneof(
    precision === 'float32'
      ? fc.float({ noNaN: true, noDefaultInfinity: true })
      : fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer({ min: -1000, max: 1000 }).map((n) => n / 8),
  );
const factors = (precision: Precision): fc.Arbitrary<number> => constants(precision).filter((c) => c !== 0);

function steps(precision: Precision): fc.Arbitrary<Step[]> {
  const rounded = round[precision];
  const step = fc.oneof(
    constants(precision).map(
      (c): Step =>
        (x) =>
          rounded(x - c),
    ),
    constants(precision).map(
      (c): Step =>
        (x) =>
          rounded(c - x),
    ),
    factors(precision).map(
      (c): Step =>
        (x) =>
          rounded(x * c),
    ),
    factors(precision).map(
      (c): Step =>
        (x) =>
          rounded(x / c),
    ),
    constants(precision).map(
      (c): Step =>
        (x) =>
          x > c ? 1 : 0,
    ),
    constants(precision).map(
      (c): Step =>
        (x) =>
          Number.isNaN(x) ? c : x,
    ),
  );
  return (
    fc
      .array(step, { minLength: 1, maxLength: 4 })
      // Overflow and then a product with something tiny: what gives NaN for a number is not folded.
      .filter((all) => !Number.isNaN(applySteps(all, Infinity)) && !Number.isNaN(applySteps(all, -Infinity)))
  );
}

interface Case {
  readonly precision: Precision;
  readonly mode: Mode;
  readonly threshold: number;
  readonly missingTrue: boolean;
  readonly steps: readonly Step[];
  readonly values: readonly number[];
}

const cases: fc.Arbitrary<Case> = fc.constantFrom<Precision>('float32', 'float64').chain((precision) =>
  fc
    .record({
      mode: fc.constantFrom<Mode>(MODE.leq, MODE.lt, MODE.gte, MODE.gt, MODE.eq, MODE.neq),
      missingTrue: fc.boolean(),
      steps: steps(precision),
      values: fc.array(numbers(precision), { minLength: 1, maxLength: 20 }),
      /** Thresholds that are hit exactly are where mistakes show. */
      threshold: fc.oneof(numbers(precision), fc.nat(19)),
      isHit: fc.boolean(),
    })
    .map(({ threshold, isHit, values, ...others }) => ({
      ...others,
      precision,
      values,
      threshold: isHit ? applySteps(others.steps, values[threshold % values.length] ?? values[0]!) : threshold,
    })),
);

/** The numbers, their neighbours, where the answer changes, and what is no number. */
function probes({ precision, values, steps: all, threshold }: Case): number[] {
  const holds = whereHolds((x) => applySteps(all, x) <= threshold, precision);
  const edge = holds.kind === 'upTo' ? holds.last : holds.kind === 'from' ? holds.first : 0;
  return [...values, edge, 0, -0]
    .flatMap((x) => [x, floatBelow(x, precision), floatAbove(x, precision)])
    .concat(NaN, Infinity, -Infinity);
}

describe('a folded question', () => {
  it('is answered for x as the question was for what x becomes', () => {
    fc.assert(
      fc.property(cases, (each) => {
        const { mode, threshold, missingTrue, precision } = each;
        const asked = stump(mode, threshold, missingTrue, precision);
        let folded;
        try {
          folded = foldEnsemble(asked, () => ({ input: 'X', column: 5, steps: each.steps }));
        } catch (error) {
          expect(error).toBeInstanceOf(NotFoldable);
          // Only equality may ask for a range.
          expect([MODE.eq, MODE.neq]).toContain(mode);
          return;
        }
        expect(folded.columns).toEqual([{ input: 'X', column: 5 }]);
        for (const x of probes(each)) {
          const before = leafOf(asked, 0, () => applySteps(each.steps, x));
          expect(
            leafOf(folded.ensemble, 0, () => x),
            `x = ${x}`,
          ).toBe(before);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is the question as it was where nothing is done to the column', () => {
    const asked = stump(MODE.neq, 3, true, 'float32');
    const { ensemble } = foldEnsemble(asked, () => ({ input: 'X', column: 0, steps: [] }));
    expect(ensemble.nodes).toEqual({ ...asked.nodes, feature: Int32Array.of(0, 0, 0) });
  });

  it('about a category that several values become is not folded', () => {
    const floor: Step = (x) => Math.fround(x / 4);
    const tiny: Step = (x) => (x > 2 ? 1 : 0);
    expect(() =>
      foldEnsemble(stump(MODE.eq, 1, false, 'float32'), () => ({ input: 'X', column: 0, steps: [floor, tiny] })),
    ).toThrow(NotFoldable);
  });
});

describe('floats in their order', () => {
  it('are next to each other', () => {
    expect(floatAbove(1, 'float32')).toBe(1 + 2 ** -23);
    expect(floatBelow(1, 'float32')).toBe(1 - 2 ** -24);
    expect(floatAbove(1, 'float64')).toBe(1 + Number.EPSILON);
    expect(floatBelow(-1, 'float64')).toBe(-1 - Number.EPSILON);
    expect(floatAbove(0, 'float64')).toBe(Number.MIN_VALUE);
    expect(floatBelow(-0, 'float32')).toBe(-(2 ** -149));
    expect(Object.is(floatBelow(0, 'float32'), -0)).toBe(true);
    expect(floatAbove(-(2 ** -149), 'float32')).toBe(-0);
    expect(floatAbove(Math.fround(3.4028234663852886e38), 'float32')).toBe(Infinity);
    expect(floatBelow(-Number.MAX_VALUE, 'float64')).toBe(-Infinity);
  });
});

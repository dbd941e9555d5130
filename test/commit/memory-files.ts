/**
 * A file system in memory, with the calls and errors of `src/commit/system.ts`, in which a power cut can be had.
 *
 * What a power cut leaves is taken as badly as a journaling file system may leave it. Changes of names that no sync has
 * covered are there or not; one may be missing though a later one is there, unless both touch one folder, or the folder did
 * not exist before. A rename is one change. Content that was not synced is there, or the file is empty.
 */
import type { Files, OpenFile } from '../../src/commit/system.js';

interface Folder {
  readonly id: number;
  readonly entries: Map<string, Node>;
}
interface Text {
  readonly id: number;
  text: string;
  /** What was synced of it; undefined where nothing was. */
  synced: string | undefined;
}
type Node = Folder | Text;

/** A change of names that is not on the disk yet. */
interface Change {
  readonly folders: readonly number[];
  readonly removes: readonly (readonly [folder: number, name: string])[];
  readonly adds: readonly (readonly [folder: number, name: string, node: Node])[];
}

export class MemoryFiles {
  #ids = 1;
  #root: Folder = { id: 0, entries: new Map() };
  /** Names on the disk, by folder. */
  #disk = new Map<number, Map<string, Node>>();
  #pending: Change[] = [];

  /** @param tree texts of files by path, all of them on the disk. */
  constructor(tree: Readonly<Record<string, string>> = {}) {
    for (const [path, text] of Object.entries(tree)) {
      let folder = this.#root;
      const names = path.split('/').filter((name) => name !== '');
      for (const name of names.slice(0, -1)) {
        const next = folder.entries.get(name) ?? { id: this.#ids++, entries: new Map<string, Node>() };
        folder.entries.set(name, next);
        folder = next as Folder;
      }
      const last = names.at(-1);
      if (last === undefined || path.endsWith('/')) folder.entries.set(last!, { id: this.#ids++, entries: new Map() });
      else folder.entries.set(last, { id: this.#ids++, text, synced: text });
    }
    this.#syncAll(this.#root);
  }

  #syncAll(folder: Folder): void {
    this.#disk.set(folder.id, new Map(folder.entries));
    for (const node of folder.entries.values()) if (isFolder(node)) this.#syncAll(node);
  }

  /** Texts of all files below a path by their paths relative to it, and '' for empty folders; undefined where there is none. */
  tree(path = '/'): Record<string, string> | undefined {
    const node = this.#find(path);
    if (node === undefined) return undefined;
    const texts: Record<string, string> = {};
    const walk = (at: Node, name: string): void => {
      if (!isFolder(at)) texts[name] = at.text;
      else if (at.entries.size === 0) texts[`${name}/`] = '';
      else
        for (const key of [...at.entries.keys()].sort())
          walk(at.entries.get(key)!, name === '' ? key : `${name}/${key}`);
    };
    walk(node, '');
    return texts;
  }

  /** Equal for equal content. */
  key(): string {
    const parts: string[] = [];
    const walk = (at: Folder): void => {
      for (const name of [...at.entries.keys()].sort()) {
        const node = at.entries.get(name)!;
        if (isFolder(node)) {
          parts.push(name, '(');
          walk(node);
          parts.push(')');
        } else parts.push(name, '=', node.text, ';');
      }
    };
    walk(this.#root);
    return parts.join('');
  }

  /** The file systems that a power cut may leave; each distinct one once. */
  afterPowerCut(): MemoryFiles[] {
    const left = new Map<string, MemoryFiles>();
    for (const kept of downsets(this.#pending.map((change, at) => this.#needs(change, at)))) {
      const disk = new Map([...this.#disk].map(([id, names]) => [id, new Map(names)] as const));
      for (const at of kept) applyTo(disk, this.#pending[at]!);
      for (const whole of [true, false]) {
        const files = new MemoryFiles(textsOn(disk, whole));
        left.set(files.key(), files);
      }
    }
    return [...left.values()];
  }

  /** Changes before a change without which it cannot be on the disk. */
  #needs(change: Change, at: number): number[] {
    const needed: number[] = [];
    for (let before = 0; before < at; before += 1) {
      const earlier = this.#pending[before]!;
      const sameFolder = earlier.folders.some((folder) => change.folders.includes(folder));
      const makesFolder = earlier.adds.some(([, , node]) => change.folders.includes(node.id));
      if (sameFolder || makesFolder) needed.push(before);
    }
    return needed;
  }

  #change(change: Omit<Change, 'folders'>): void {
    const folders = [...change.removes.map(([id]) => id), ...change.adds.map(([id]) => id)];
    this.#pending.push({ ...change, folders: [...new Set(folders)] });
  }

  #syncFolder(id: number): void {
    const needs = this.#pending.map((change, at) => this.#needs(change, at));
    const done = new Set<number>();
    const take = (at: number): void => {
      if (done.has(at)) return;
      done.add(at);
      for (const before of needs[at]!) take(before);
    };
    for (const [at, { folders }] of this.#pending.entries()) if (folders.includes(id)) take(at);
    for (const at of [...done].sort((a, b) => a - b)) applyTo(this.#disk, this.#pending[at]!);
    this.#pending = this.#pending.filter((_, at) => !done.has(at));
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path.split('/')) {
      if (name === '') continue;
      if (node === undefined) return undefined;
      if (!isFolder(node)) throw failure('ENOTDIR', path);
      node = node.entries.get(name);
    }
    return node;
  }

  #folderOf(path: string): [Folder, string] {
    const at = path.lastIndexOf('/');
    const folder = this.#find(path.slice(0, at));
    if (folder === undefined) throw failure('ENOENT', path);
    if (!isFolder(folder)) throw failure('ENOTDIR', path);
    return [folder, path.slice(at + 1)];
  }

  #must(path: string): Node {
    const node = this.#find(path);
    if (node === undefined) throw failure('ENOENT', path);
    return node;
  }

  #add([folder, name]: readonly [Folder, string], node: Node): void {
    folder.entries.set(name, node);
    this.#change({ removes: [], adds: [[folder.id, name, node]] });
  }

  #remove([folder, name]: readonly [Folder, string]): void {
    folder.entries.delete(name);
    this.#change({ removes: [[folder.id, name]], adds: [] });
  }

  #write(path: string): Text {
    const place = this.#folderOf(path);
    const there = place[0].entries.get(place[1]);
    if (there !== undefined && isFolder(there)) throw failure('EISDIR', path);
    if (there !== undefined) {
      there.text = '';
      return there;
    }
    const node: Text = { id: this.#ids++, text: '', synced: undefined };
    this.#add(place, node);
    return node;
  }

  #removeAll(place: readonly [Folder, string], node: Node): void {
    if (isFolder(node)) for (const [name, child] of [...node.entries]) this.#removeAll([node, name], child);
    this.#remove(place);
  }

  /**
   * The calls, each by way of `turn`, which decides when it is carried out. Calls that change nothing that another process or
   * a power cut could tell take no turn.
   */
  through(turn: <T>(what: string, work: () => T) => Promise<T>): Files {
    const open = (node: Node): OpenFile => ({
      writeFile: (text) =>
        turn('write', () => {
          (node as Text).text += text;
        }),
      read: async (buffer, offset, length, position) => ({
        bytesRead: Buffer.from((node as Text).text).copy(buffer, offset, position, position + length),
      }),
      stat: async () => ({ size: Buffer.byteLength((node as Text).text) }),
      sync: () =>
        turn('sync', () => {
          if (isFolder(node)) this.#syncFolder(node.id);
          else node.synced = node.text;
        }),
      close: () => Promise.resolve(),
    });
    return {
      link: (from, to) =>
        turn(`link ${to}`, () => {
          const node = this.#must(from);
          const place = this.#folderOf(to);
          if (place[0].entries.has(place[1])) throw failure('EEXIST', to);
          this.#add(place, node);
        }),
      mkdir: (path) =>
        turn(`mkdir ${path}`, () => {
          const place = this.#folderOf(path);
          if (place[0].entries.has(place[1])) throw failure('EEXIST', path);
          const node: Folder = { id: this.#ids++, entries: new Map() };
          this.#disk.set(node.id, new Map());
          this.#add(place, node);
        }),
      open: (path, flags) =>
        turn(`open ${flags} ${path}`, () => open(flags === 'w' ? this.#write(path) : this.#must(path))),
      readdir: (path) =>
        turn(`readdir ${path}`, () => {
          const node = this.#must(path);
          if (!isFolder(node)) throw failure('ENOTDIR', path);
          return [...node.entries.keys()].sort();
        }),
      readFile: (path) =>
        turn(`readFile ${path}`, () => {
          const node = this.#must(path);
          if (isFolder(node)) throw failure('EISDIR', path);
          return node.text;
        }),
      rename: (from, to) =>
        turn(`rename ${from} ${to}`, () => {
          const source = this.#folderOf(from);
          const node = source[0].entries.get(source[1]);
          if (node === undefined) throw failure('ENOENT', from);
          const target = this.#folderOf(to);
          const there = target[0].entries.get(target[1]);
          if (there !== undefined && isFolder(node)) {
            if (!isFolder(there)) throw failure('ENOTDIR', to);
            if (there.entries.size > 0) throw failure('ENOTEMPTY', to);
          } else if (there !== undefined && isFolder(there)) throw failure('EISDIR', to);
          source[0].entries.delete(source[1]);
          target[0].entries.set(target[1], node);
          this.#change({ removes: [[source[0].id, source[1]]], adds: [[target[0].id, target[1], node]] });
        }),
      rm: (path, { force, recursive = false }) =>
        turn(`rm ${path}`, () => {
          let place;
          try {
            place = this.#folderOf(path);
          } catch (error) {
            if (force) return;
            throw error;
          }
          const node = place[0].entries.get(place[1]);
          if (node === undefined) {
            if (force) return;
            throw failure('ENOENT', path);
          }
          if (isFolder(node) && !recursive) throw failure('EISDIR', path);
          this.#removeAll(place, node);
        }),
      rmdir: (path) =>
        turn(`rmdir ${path}`, () => {
          const place = this.#folderOf(path);
          const node = place[0].entries.get(place[1]);
          if (node === undefined) throw failure('ENOENT', path);
          if (!isFolder(node)) throw failure('ENOTDIR', path);
          if (node.entries.size > 0) throw failure('ENOTEMPTY', path);
          this.#remove(place);
        }),
      stat: (path) =>
        turn(`stat ${path}`, () => {
          const node = this.#must(path);
          return { isDirectory: () => isFolder(node), size: isFolder(node) ? 0 : Buffer.byteLength(node.text) };
        }),
      writeFile: (path, text) =>
        turn(`writeFile ${path}`, () => {
          this.#write(path).text = text;
        }),
    };
  }
}

const isFolder = (node: Node): node is Folder => 'entries' in node;

function failure(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

function applyTo(disk: Map<number, Map<string, Node>>, { removes, adds }: Change): void {
  for (const [folder, name] of removes) disk.get(folder)?.delete(name);
  for (const [folder, name, node] of adds) disk.get(folder)?.set(name, node);
}

/** What can be reached on the disk. */
function textsOn(disk: ReadonlyMap<number, ReadonlyMap<string, Node>>, whole: boolean): Record<string, string> {
  const texts: Record<string, string> = {};
  const walk = (folder: number, path: string): void => {
    const names = disk.get(folder) ?? new Map<string, Node>();
    if (names.size === 0 && path !== '') texts[`${path}/`] = '';
    for (const [name, node] of names) {
      if (isFolder(node)) walk(node.id, `${path}/${name}`);
      else texts[`${path}/${name}`] = whole ? node.text : (node.synced ?? '');
    }
  };
  walk(0, '');
  return texts;
}

/** Sets of changes that may be on the disk: with each what it needs. At most some thousand. */
function downsets(needs: readonly (readonly number[])[]): number[][] {
  let sets: number[][] = [[]];
  for (const [at, needed] of needs.entries())
    sets = sets.flatMap((set) => (needed.every((before) => set.includes(before)) ? [set, [...set, at]] : [set]));
  return sets;
}

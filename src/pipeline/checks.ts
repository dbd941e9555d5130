/**
 * What the parts of a file must be to each other. Works on the tree, so that these problems are told together with
 * those of the schema: a part of the wrong shape is passed over here, because the schema told about it.
 */
import type { Segment } from './key-path.js';
import { didYouMean } from './nearest.js';
import { ROW_NUMBER } from './pipeline.js';
import type { Finding, ProblemList } from './problems.js';
import { RESERVED_PREFIX, TAKES } from './schema.js';
import { entriesOf, entry, itemsOf, nodeAt, offsetAt, textOf, type TreeNode } from './tree.js';

/** A name in the file and where it stands. */
interface Named {
  readonly name: string;
  readonly path: readonly Segment[];
  /** Of the key that is the name. */
  readonly offset?: number;
}

/** Adds what is wrong between the parts of the file. */
export function checkParts(root: TreeNode, problems: ProblemList): void {
  const features = featureNames(root);
  const findings = [
    ...repeated(features.names, 'feature', 'give it another name: `{ name: …, sql: … }`'),
    ...modelFindings(root),
    ...inputFindings(root, features),
    ...outputFindings(root),
    ...limitFindings(root),
    ...sinkFindings(root),
    ...threadFindings(root),
    ...pathFindings(root),
    ...['source.key', 'sink.partition_by', 'sink.columns'].flatMap((key) =>
      repeated(textsAt(root, key.split('.')), 'column', 'remove one of them'),
    ),
  ];
  for (const finding of findings)
    problems.add({ ...finding, offset: finding.offset ?? offsetAt(root, finding.path ?? [], problems.lines) });
}

/** The texts at a path, which may hold one or a list of them. */
function textsAt(root: TreeNode, path: readonly Segment[]): Named[] {
  const node = nodeAt(root, path);
  const one = textOf(node);
  if (one !== undefined) return [{ name: one, path }];
  return itemsOf(node).flatMap((item, index) => {
    const name = textOf(item);
    return name === undefined ? [] : [{ name, path: [...path, index] }];
  });
}

/** The features that have a name; `complete` where all have one, so that a name that is not among them is unknown. */
function featureNames(root: TreeNode): { names: Named[]; complete: boolean } {
  const list = nodeAt(root, ['features']);
  const names = itemsOf(list).flatMap((item, index) => {
    const path: Segment[] = ['features', index];
    const name = textOf(item) ?? textOf(entry(item, 'name')?.value);
    return name === undefined ? [] : [{ name, path }];
  });
  return { names, complete: list?.kind === 'list' && names.length > 0 && names.length === list.items.length };
}

/** Names that are there already, or that differ from an earlier one only by case, which DuckDB does not tell apart. */
function repeated(names: readonly Named[], kind: string, hint: string): Finding[] {
  const earlier = new Map<string, string>();
  return names.flatMap(({ name, path, offset }) => {
    const first = earlier.get(name.toLowerCase());
    if (first === undefined) {
      earlier.set(name.toLowerCase(), name);
      return [];
    }
    const message =
      first === name
        ? `the ${kind} \`${name}\` is named twice`
        : `the ${kind} \`${name}\` differs only by case from \`${first}\``;
    return [{ message, hint, path, offset }];
  });
}

/** Where models stand in the file, with their nodes. */
function modelsOf(root: TreeNode): { readonly path: readonly Segment[]; readonly node: TreeNode }[] {
  const several = entriesOf(nodeAt(root, ['models'])).map(({ key, value }) => ({ path: ['models', key], node: value }));
  const one = nodeAt(root, ['model']);
  return one === undefined ? several : [{ path: ['model'], node: one }, ...several];
}

/** One way to name the models, and outputs beside them or in them. */
function modelFindings(root: TreeNode): Finding[] {
  const [model, models, outputs] = ['model', 'models', 'outputs'].map((key) => entry(root, key));
  if (models === undefined) {
    const missing: Finding[] = [];
    if (model === undefined)
      missing.push({
        message: '`model` is missing; allowed: a mapping with a path, or several under `models`',
        hint: 'add it: `model: { path: model.onnx }`',
        path: ['model'],
      });
    if (outputs === undefined)
      missing.push({
        message: '`outputs` is missing; allowed: a mapping of new columns to model outputs',
        hint: 'add it: `colonnade inspect` shows the outputs of the model',
        path: ['outputs'],
      });
    return missing;
  }
  const findings: Finding[] = [];
  if (model !== undefined)
    findings.push({
      message: '`model` and `models` are both there; allowed: one of them',
      hint: 'move the model into `models`, under a name',
      path: ['model'],
      offset: model.keyOffset,
    });
  if (outputs !== undefined)
    findings.push({
      message: '`outputs` stands beside `models`; each of the models has `outputs` of its own',
      hint: 'move it into the model that it belongs to',
      path: ['outputs'],
      offset: outputs.keyOffset,
    });
  return findings;
}

/** Features that a model names must be there, and each must feed some model. */
function inputFindings(root: TreeNode, features: { names: readonly Named[]; complete: boolean }): Finding[] {
  if (!features.complete) return [];
  const known = new Set(features.names.map(({ name }) => name));
  const used = new Set<string>();
  const unknown: Finding[] = [];
  // A name that is misspelt, or no text, means one of the features: which of them is left over cannot be told then.
  let isComplete = true;
  const models = modelsOf(root);
  for (const { path, node } of models) {
    const inputs = entry(node, 'inputs')?.value;
    const chosen = entry(node, 'features')?.value;
    const places = [
      ...(chosen === undefined ? [] : [{ at: [...path, 'features'], value: chosen }]),
      ...(inputs?.kind === 'mapping'
        ? entriesOf(inputs).map(({ key, value }) => ({ at: [...path, 'inputs', key], value }))
        : []),
    ];
    // Where `inputs` stands too, it alone tells what feeds the model: nothing it names may be left out of `features`.
    const own =
      chosen?.kind === 'list' && inputs?.kind === 'mapping' ? textsAt(root, [...path, 'features']) : undefined;
    // Which features feed it only the model itself tells.
    if (places.length === 0) isComplete = false;
    for (const { at, value } of places) {
      const fed = textsAt(root, at);
      if (value.kind === 'list' ? fed.length < value.items.length : fed.length === 0) isComplete = false;
      for (const { name, path: place } of fed) {
        if (known.has(name)) {
          used.add(name);
          if (own === undefined || own.some((each) => each.name === name)) continue;
          const message = `\`${name}\` is none of the features of this model: ${listed(own.map((each) => each.name))}`;
          unknown.push({
            message,
            hint: 'add it there, or leave `features` out where `inputs` names them',
            path: place,
          });
          continue;
        }
        const message = `\`${name}\` is not a feature; the features are: ${listed([...known])}`;
        unknown.push({ message, hint: didYouMean(name, [...known]) ?? 'add it to `features`', path: place });
      }
    }
  }
  if (!isComplete || models.length === 0 || unknown.length > 0) return unknown;
  const unused = features.names.filter(({ name }) => !used.has(name));
  const where = models.length === 1 && models[0]!.path[0] === 'model' ? '`model.inputs` names' : 'the models name';
  return unused.map(({ name, path }) => ({
    message: `the feature \`${name}\` feeds no input of ${models.length === 1 ? 'the model' : 'a model'}; ${where}: ${listed([...used])}`,
    hint: 'add it to an input, or remove it from `features`',
    path,
  }));
}

/** Names for a message; of very many the first ones. */
function listed(names: readonly string[]): string {
  return names.length <= 30 ? names.join(', ') : `${names.slice(0, 30).join(', ')} and ${names.length - 30} more`;
}

function outputFindings(root: TreeNode): Finding[] {
  const places = [
    { path: ['outputs'], node: nodeAt(root, ['outputs']) },
    ...entriesOf(nodeAt(root, ['models'])).map(({ key, value }) => ({
      path: ['models', key, 'outputs'],
      node: entry(value, 'outputs')?.value,
    })),
  ];
  const outputs = places.flatMap(({ path, node }) =>
    entriesOf(node).map(({ key, keyOffset, value }) => ({ name: key, path: [...path, key], offset: keyOffset, value })),
  );
  const reserved = outputs.flatMap(({ name, path, offset }) => {
    const folded = name.toLowerCase();
    const message = folded.startsWith(RESERVED_PREFIX)
      ? `names that begin with \`${RESERVED_PREFIX}\` are Colonnade's own`
      : folded === ROW_NUMBER
        ? `\`${name}\` is the name that DuckDB gives to the position of a row, and would hide it`
        : undefined;
    return message === undefined ? [] : [{ message, hint: 'choose another name', path, offset }];
  });
  const several = outputs.flatMap(({ name, path, value }) => {
    const takes = TAKES.filter((take) => entry(value, take) !== undefined);
    if (takes.length < 2) return [];
    return [
      {
        message: `\`${name}\` takes ${takes.map((take) => `\`${take}\``).join(' and ')}; allowed: at most one of ${TAKES.join(', ')}`,
        hint: 'make a column of each',
        path: [...path, takes[1] ?? ''],
      },
    ];
  });
  return [...repeated(outputs, 'output', 'give it another name'), ...reserved, ...several];
}

function limitFindings(root: TreeNode): Finding[] {
  return entriesOf(nodeAt(root, ['validate', 'rules'])).flatMap(({ key, value }) => {
    const min = entry(value, 'min')?.value;
    const max = entry(value, 'max')?.value;
    if (min?.kind !== 'scalar' || max?.kind !== 'scalar' || min.broken || max.broken) return [];
    if (typeof min.value !== 'number' || typeof max.value !== 'number' || !(min.value > max.value)) return [];
    const message = `\`min\` (${min.text}) is greater than \`max\` (${max.text}): no value of \`${key}\` would be valid`;
    return [{ message, hint: 'swap them', path: ['validate', 'rules', key, 'min'] }];
  });
}

function threadFindings(root: TreeNode): Finding[] {
  const threads = nodeAt(root, ['run', 'threads']);
  if (threads?.kind !== 'scalar' || typeof threads.value !== 'number' || threads.value === 1) return [];
  if (textOf(nodeAt(root, ['validate', 'on_invalid'])) !== 'fail') return [];
  const message = `\`run.threads\` (${threads.text}) has no effect with \`validate.on_invalid: fail\`, which reads rows in their order, in one thread`;
  return [{ message, hint: 'remove it, or let invalid rows be set apart', path: ['run', 'threads'] }];
}

function sinkFindings(root: TreeNode): Finding[] {
  const sink = nodeAt(root, ['sink']);
  const mode = textOf(entry(sink, 'mode')?.value);
  if (mode !== 'append' && mode !== 'partition' && mode !== 'predictions') return [];
  const findings: Finding[] = [];
  if (mode !== 'partition') {
    for (const key of ['partition_by', 'columns']) {
      const written = entry(sink, key);
      if (written === undefined) continue;
      const message = `\`sink.${key}\` has no meaning in mode ${mode}; it is for mode partition`;
      findings.push({
        message,
        hint: 'remove it, or write `mode: partition`',
        path: ['sink', key],
        offset: written.keyOffset,
      });
    }
  } else if (entry(sink, 'partition_by') === undefined) {
    const message = '`sink.partition_by` is missing; mode partition needs the columns whose values make the folders';
    findings.push({ message, hint: 'add it: `partition_by: [region]`', path: ['sink', 'partition_by'] });
  }
  const rowGroupSize = entry(sink, 'row_group_size');
  if (mode === 'append' && rowGroupSize !== undefined) {
    findings.push({
      message: '`sink.row_group_size` has no meaning in mode append: its row groups are those of the source',
      hint: 'remove it',
      path: ['sink', 'row_group_size'],
      offset: rowGroupSize.keyOffset,
    });
  }
  return findings;
}

/** Paths that would be taken for odd names of local files. */
function pathFindings(root: TreeNode): Finding[] {
  const paths = [['source', 'path'], ...modelsOf(root).map(({ path }) => [...path, 'path']), ['sink', 'path']].flatMap(
    (path) => textsAt(root, path),
  );
  return paths.flatMap(({ name, path }) => {
    const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):\/\//.exec(name)?.[1];
    if (scheme !== undefined) {
      const message = `\`${name.slice(0, 80)}\` is an address (${scheme}://); allowed: a path of this machine`;
      return [
        {
          message,
          hint: scheme === 'file' ? 'write the path without `file://`' : 'copy or mount the data first',
          path,
        },
      ];
    }
    if (/^~(?:\/|$)/.test(name)) {
      return [
        { message: "`~` is a shell's word for the home folder and is not filled in", hint: 'write `${HOME}`', path },
      ];
    }
    return [];
  });
}

/** What is in a file, for a person: a model, or Parquet. */
import { tensorInWords } from '../../plan/inputs.js';
import { alignRows } from '../../plan/layout.js';
import { counted, formatBytes, formatCount, formatShare } from '../../plan/quantities.js';
import type { Inspection } from '../../run/inspect.js';
import type { Colors } from '../output.js';
import { shownPath } from './path.js';
import { printable } from './printable.js';

type ModelInspection = Extract<Inspection, { kind: 'model' }>;
type ParquetInspection = Extract<Inspection, { kind: 'parquet' }>;

/** Classes, operators and row groups that are listed before the rest is counted. */
const MOST = 12;

/** @returns lines with an end. */
export function renderInspection(inspection: Inspection, cwd: string, colors: Colors): string {
  const sections = inspection.kind === 'model' ? modelSections(inspection) : parquetSections(inspection);
  const kind = inspection.kind === 'model' ? 'ONNX model' : 'Parquet';
  const head = `${colors.bold(printable(shownPath(inspection.path, cwd)))}  ${colors.dim(kind)}`;
  const body = sections
    .filter(({ lines }) => lines.length > 0)
    .map(({ title, lines }) =>
      [...(title === '' ? [] : [colors.bold(title)]), ...lines.map((line) => `  ${printable(line)}`)].join('\n'),
    );
  return `${[head, ...body].join('\n\n')}\n`;
}

interface Section {
  readonly title: string;
  readonly lines: readonly string[];
}

function modelSections(model: ModelInspection): Section[] {
  const opsets = Object.entries(model.opsets).map(([domain, version]) => `${domain} ${version}`);
  const operators = Object.entries(model.operators)
    .toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([name, count]) => (count === 1 ? name : `${name} ×${count}`));
  return [
    {
      title: '',
      lines: alignRows([
        ['size', `${formatBytes(model.bytes)}, ${counted(model.parameters, 'parameter')}`],
        ['producer', model.producer === '' ? 'not told' : model.producer],
        ['opset', `${opsets.join(', ')} (IR ${model.irVersion})`],
        ['engine', model.engine],
        ...model.engineNotes.map((note) => ['', note]),
        [
          'batch',
          model.fixedBatch === null ? 'any number of rows' : `${counted(model.fixedBatch, 'row')}, fixed by the model`,
        ],
        ['operators', listed(operators)],
        ...nanLines(model),
        ...model.edits.map((edit, i) => [i === 0 ? 'edited' : '', edit]),
        ['sha256', model.hash],
      ]),
    },
    {
      title: 'Inputs',
      lines: [
        ...alignRows(model.inputs.map((input) => [input.name, tensorInWords(input)])),
        ...(model.columns === undefined
          ? []
          : [`logged with ${listed(model.columns.map(({ name, type }) => `${name} (${type})`))}`]),
      ],
    },
    {
      title: 'Outputs',
      lines: alignRows(
        model.outputs.map((output) => [
          output.name,
          tensorInWords(output),
          output.classes === undefined ? '' : `classes ${listed(output.classes.map((label) => JSON.stringify(label)))}`,
        ]),
      ).concat(model.unusable.map(({ name, reason }) => `${name} ${reason}`)),
    },
  ];
}

/** What becomes of a NaN that a rule lets through. */
function nanLines({ nanOutputs }: ModelInspection): string[][] {
  if (nanOutputs === null) return [];
  return [
    [
      'NaN',
      nanOutputs.length === 0
        ? 'in an input is scored: where the model was trained with gaps, write missing: nan'
        : `in an input makes ${listed(nanOutputs)} NaN`,
    ],
  ];
}

function parquetSections(file: ParquetInspection): Section[] {
  const stored = file.columns.reduce((sum, { bytes }) => sum + bytes, 0);
  const has = [
    file.pageIndex ? 'page index' : '',
    file.bloomFilters ? 'Bloom filters' : '',
    file.encrypted ? 'encryption' : '',
  ].filter((text) => text !== '');
  const rowGroups = file.rowGroups
    .slice(0, MOST)
    .map((group, i) => [
      String(i),
      counted(group.rows, 'row'),
      formatBytes(group.bytes),
      `of ${formatBytes(group.uncompressedBytes)}`,
      codecs(group.codecs),
    ]);
  const more = file.rowGroups.length - rowGroups.length;
  return [
    {
      title: '',
      lines: alignRows([
        ['rows', `${formatCount(file.rows)} in ${counted(file.rowGroups.length, 'row group')}`],
        ['size', `${formatBytes(file.size)}, footer ${formatBytes(file.footerBytes)}`],
        ['format', `version ${file.version}`],
        ['written by', file.createdBy ?? 'not told'],
        ...(has.length === 0 ? [] : [['has', has.join(', ')]]),
        [
          'append',
          file.spliceObstacle === null
            ? 'columns can be spliced in'
            : `no column can be spliced in: ${file.spliceObstacle}`,
        ],
      ]),
    },
    {
      title: counted(file.columns.length, 'column'),
      lines: alignRows(
        file.columns.map((column) => [
          column.name,
          column.nullable ? column.type : `${column.type} required`,
          formatBytes(column.bytes),
          formatShare(column.bytes, stored),
          codecs(column.codecs),
          column.nulls === undefined ? '' : column.nulls === 0 ? 'no NULL' : counted(column.nulls, 'NULL'),
          column.range === undefined ? '' : `${column.range.min} to ${column.range.max}`,
        ]),
        new Set([2, 3]),
      ),
    },
    {
      title: counted(file.rowGroups.length, 'row group'),
      lines: [
        ...alignRows(rowGroups, new Set([0, 1, 2])),
        ...(more > 0 ? [`… and ${counted(more, 'more row group')}`] : []),
      ],
    },
    { title: 'Colonnade', lines: alignRows(Object.entries(file.colonnade)) },
    {
      title: 'Metadata',
      lines: alignRows(
        file.metadata
          .filter(({ key }) => !key.startsWith('colonnade.'))
          .map(({ key, bytes }) => [key, formatBytes(bytes)]),
      ),
    },
  ];
}

function codecs(names: readonly string[]): string {
  return names.map((name) => name.toLowerCase()).join(', ');
}

function listed(items: readonly string[]): string {
  return items.length <= MOST ? items.join(', ') : `${items.slice(0, MOST).join(', ')}, … ${items.length - MOST} more`;
}

/** Fills the variables of the environment and of the pipeline into the scalars of a tree. */
import { coreScalar, inexactInteger } from './core-scalar.js';
import type { Segment } from './key-path.js';
import { didYouMean, nearest } from './nearest.js';
import type { ProblemList } from './problems.js';
import { isTemplate, parseTemplate, TemplateError, type Reference, type TemplatePart } from './template.js';
import { entriesOf, entry, type ScalarNode, type TreeNode } from './tree.js';

/** What the values come from. */
export interface Surroundings {
  /** What `${NAME}` reads; nothing is set where it is left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Values that replace those of `vars` in the file. */
  readonly vars?: Readonly<Record<string, string>>;
}

/** A value that could not be made; what is wrong was told already where there is no message. */
class Unfilled extends Error {
  readonly hint: string | undefined;
  readonly told: boolean;
  readonly index: number;

  constructor(index: number, message?: string, hint?: string) {
    super(message ?? '');
    this.told = message === undefined;
    this.hint = hint;
    this.index = index;
  }
}

/** Inside `vars`, where variables cannot be used, or anywhere else. */
type Place = 'vars' | 'file';

/** A variable of the pipeline; without a text where a problem was told about it already. */
interface Variable {
  readonly text: string | undefined;
}

/**
 * The tree with every `${…}` filled in. Problems are added; the scalars concerned are marked broken.
 * A plain scalar that is one interpolation and nothing else gets its type from what was filled in, as YAML would give
 * it; a quoted one stays a text. `vars` may read the environment only, so that their order does not matter.
 */
export function interpolate(root: TreeNode, surroundings: Surroundings, text: string, problems: ProblemList): TreeNode {
  const variables = new Map<string, Variable>();
  const filler = new Filler(surroundings, variables, text, problems);
  const declared = entry(root, 'vars')?.value;
  const overrides = surroundings.vars ?? {};
  const names = entriesOf(declared).map(({ key }) => key);
  for (const name of Object.keys(overrides)) {
    if (names.includes(name)) continue;
    problems.add({
      message:
        `the variable \`${name}\` is given (--var ${name}=…), but the pipeline does not declare it; ` +
        (names.length === 0 ? 'it declares none' : `it declares: ${names.join(', ')}`),
      hint: didYouMean(name, names) ?? `declare it in the file: \`vars: { ${name}: "a default" }\``,
      path: ['vars'],
    });
  }
  const filled = entriesOf(declared).map((item) => {
    const override = Object.hasOwn(overrides, item.key) ? overrides[item.key] : undefined;
    const value =
      override === undefined
        ? filler.fill(item.value, ['vars', item.key], 'vars')
        : ({
            kind: 'scalar',
            value: override,
            text: override,
            plain: false,
            offset: item.value.offset,
          } satisfies ScalarNode);
    variables.set(item.key, { text: value.kind === 'scalar' && !value.broken ? value.text : undefined });
    return { ...item, value };
  });
  if (root.kind !== 'mapping') return root;
  return {
    ...root,
    entries: root.entries.map((item) => {
      if (item.key === 'vars')
        return declared?.kind === 'mapping' ? { ...item, value: { ...declared, entries: filled } } : item;
      return { ...item, value: filler.fill(item.value, [item.key], 'file') };
    }),
  };
}

class Filler {
  private readonly env: NonNullable<Surroundings['env']>;
  private readonly variables: ReadonlyMap<string, Variable>;
  private readonly text: string;
  private readonly problems: ProblemList;

  constructor(
    surroundings: Surroundings,
    variables: ReadonlyMap<string, Variable>,
    text: string,
    problems: ProblemList,
  ) {
    this.env = surroundings.env ?? {};
    this.variables = variables;
    this.text = text;
    this.problems = problems;
  }

  fill(node: TreeNode, path: readonly Segment[], place: Place): TreeNode {
    if (node.kind === 'mapping') {
      return {
        ...node,
        entries: node.entries.map((item) => ({ ...item, value: this.fill(item.value, [...path, item.key], place) })),
      };
    }
    if (node.kind === 'list')
      return { ...node, items: node.items.map((item, index) => this.fill(item, [...path, index], place)) };
    const filled = this.scalar(node, path, place);
    if (typeof filled.value === 'string' && filled.value.includes('\0') && !filled.broken) {
      this.problems.add({
        message: 'the value holds a NUL character',
        hint: 'leave it out',
        path,
        offset: node.offset,
      });
      return { ...filled, broken: true };
    }
    return filled;
  }

  private scalar(node: ScalarNode, path: readonly Segment[], place: Place): ScalarNode {
    if (node.broken || typeof node.value !== 'string' || !isTemplate(node.value)) return node;
    const template = node.value;
    const failures: (TemplateError | Unfilled)[] = [];
    const parts = this.parse(template, failures);
    const text = this.evaluate(parts, place, failures);
    const whole = node.plain && parts.length === 1 && parts[0]?.kind === 'reference';
    const inexact = whole ? inexactInteger(text) : undefined;
    if (inexact !== undefined) failures.push(new Unfilled(0, inexact.message, inexact.hint));
    if (failures.length === 0) return { ...node, value: whole ? coreScalar(text) : text, text, template };
    for (const failure of failures) {
      if (failure instanceof Unfilled && failure.told) continue;
      const offset = this.offsetIn(node, template, failure.index);
      this.problems.add({ message: failure.message, hint: failure.hint, path, offset });
    }
    return { ...node, broken: true };
  }

  private parse(template: string, failures: (TemplateError | Unfilled)[]): TemplatePart[] {
    try {
      return parseTemplate(template);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      failures.push(error);
      return [];
    }
  }

  /** The text of the parts; what could not be filled in is added to `failures` and left out. */
  private evaluate(parts: readonly TemplatePart[], place: Place, failures: (TemplateError | Unfilled)[]): string {
    const texts = parts.map((part) => {
      if (part.kind === 'text') return part.text;
      try {
        return this.resolve(part, place, failures);
      } catch (error) {
        if (!(error instanceof Unfilled)) throw error;
        failures.push(error);
        return '';
      }
    });
    return texts.join('');
  }

  private resolve(reference: Reference, place: Place, failures: (TemplateError | Unfilled)[]): string {
    const { otherwise, index } = reference;
    const value = reference.scope === 'vars' ? this.variable(reference, place) : this.environment(reference);
    if (otherwise === undefined) {
      if (value === undefined) throw this.undefinedVariable(reference);
      return value;
    }
    if (value !== undefined && value !== '') return value;
    const instead = this.evaluate(otherwise.parts, place, failures);
    if (otherwise.kind === 'default') return instead;
    const name = reference.scope === 'vars' ? `vars.${reference.name}` : reference.name;
    const way =
      reference.scope === 'vars' ? `--var ${reference.name}=…` : `set the environment variable \`${reference.name}\``;
    const state = value === undefined ? 'is not set' : 'is empty';
    throw new Unfilled(index, `\`${name}\` ${state}${instead === '' ? '' : `: ${instead}`}`, way);
  }

  private environment({ name }: Reference): string | undefined {
    return Object.hasOwn(this.env, name) ? this.env[name] : undefined;
  }

  private variable({ name, index }: Reference, place: Place): string | undefined {
    if (place === 'vars') {
      throw new Unfilled(
        index,
        `\`\${vars.${name}}\` is used inside \`vars\``,
        'variables may read the environment, not each other',
      );
    }
    const variable = this.variables.get(name);
    if (variable === undefined) {
      const names = [...this.variables.keys()];
      throw new Unfilled(
        index,
        `\`\${vars.${name}}\`: the pipeline declares no such variable; ${names.length === 0 ? 'it declares none' : `it declares: ${names.join(', ')}`}`,
        didYouMean(name, names) ?? `declare it: \`vars: { ${name}: "a default" }\``,
      );
    }
    if (variable.text === undefined) throw new Unfilled(index);
    return variable.text;
  }

  private undefinedVariable({ name, index }: Reference): Unfilled {
    const near = nearest(
      name,
      Object.keys(this.env).filter((key) => this.env[key] !== undefined),
    );
    const declared = this.variables.has(name) ? `did you mean \`\${vars.${name}}\`?` : undefined;
    return new Unfilled(
      index,
      `\`\${${name}}\`: the environment variable \`${name}\` is not set`,
      declared ??
        (near === undefined
          ? `set it, or give a default: \`\${${name}:-…}\``
          : `did you mean \`${near}\`? A default is written \`\${${name}:-…}\``),
    );
  }

  /** Where in the file a place of the template is; the start of the scalar where escapes or folding lie between. */
  private offsetIn(node: ScalarNode, template: string, index: number): number {
    const start = node.offset + (node.plain ? 0 : 1);
    const before = template.slice(0, index + 2);
    return this.text.startsWith(before, start) ? start + index : node.offset;
  }
}

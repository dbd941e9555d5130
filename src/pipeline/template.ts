/**
 * The language of interpolation: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${vars.name}`, and `$$` for a
 * dollar. Defaults and messages may hold interpolations themselves. Any other dollar stands for itself, but `$NAME` is
 * refused, because in a shell it means something.
 */

export type TemplatePart = { readonly kind: 'text'; readonly text: string } | Reference;

/** `${…}` */
export interface Reference {
  readonly kind: 'reference';
  /** `environment`: a variable of the environment; `vars`: one that the pipeline declares. */
  readonly scope: 'environment' | 'vars';
  readonly name: string;
  /** What is given instead, or the message told, where the variable is not set or empty. */
  readonly otherwise?: { readonly kind: 'default' | 'message'; readonly parts: readonly TemplatePart[] };
  /** Where it begins in the template. */
  readonly index: number;
}

/** A template that cannot be read. */
export class TemplateError extends Error {
  readonly hint: string;
  readonly index: number;

  constructor(message: string, hint: string, index: number) {
    super(message);
    this.hint = hint;
    this.index = index;
  }
}

/** Levels of defaults within defaults. */
const DEEPEST = 8;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;

/** True where {@link parseTemplate} would find anything to do. */
export function isTemplate(text: string): boolean {
  return text.includes('$');
}

/** The parts of a template, in order. Throws {@link TemplateError}. */
export function parseTemplate(text: string): TemplatePart[] {
  return new TemplateParser(text).parts(0);
}

class TemplateParser {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  /** Parts up to the end, or inside an interpolation up to its `}`, which is left to the caller. */
  parts(depth: number): TemplatePart[] {
    const parts: TemplatePart[] = [];
    let literal = '';
    while (this.at < this.text.length) {
      const character = this.text.charAt(this.at);
      if (depth > 0 && character === '}') break;
      if (character !== '$') {
        literal += character;
        this.at++;
      } else if (this.text.startsWith('$$', this.at)) {
        literal += '$';
        this.at += 2;
      } else if (this.text.startsWith('${', this.at)) {
        if (literal !== '') parts.push({ kind: 'text', text: literal });
        literal = '';
        parts.push(this.reference(depth));
      } else {
        this.refuseBareName();
        literal += character;
        this.at++;
      }
    }
    if (literal !== '') parts.push({ kind: 'text', text: literal });
    return parts;
  }

  private reference(depth: number): Reference {
    const index = this.at;
    if (depth >= DEEPEST)
      throw new TemplateError(
        `interpolations are nested deeper than ${DEEPEST} levels`,
        'write the default out',
        index,
      );
    this.at += 2;
    const first = this.name(index);
    let scope: Reference['scope'] = 'environment';
    let name = first;
    if (this.text.charAt(this.at) === '.') {
      if (first !== 'vars') {
        throw new TemplateError(
          `\`\${${first}.…}\` names neither a variable of the environment nor one of the pipeline`,
          'write `${NAME}` for the environment, `${vars.name}` for a variable of the pipeline',
          index,
        );
      }
      this.at++;
      scope = 'vars';
      name = this.name(index);
    }
    const operator = this.text.slice(this.at, this.at + 2);
    if (operator === ':-' || operator === ':?') {
      this.at += 2;
      const parts = this.parts(depth + 1);
      this.close(index);
      return {
        kind: 'reference',
        scope,
        name,
        otherwise: { kind: operator === ':-' ? 'default' : 'message', parts },
        index,
      };
    }
    this.close(index);
    return { kind: 'reference', scope, name, index };
  }

  private name(index: number): string {
    NAME.lastIndex = this.at;
    const match = NAME.exec(this.text);
    if (match === null) {
      throw new TemplateError(
        `\`${this.text.slice(index, index + 20)}\` is not an interpolation: a name must follow`,
        'write `${NAME}`, or `$$` for a dollar',
        index,
      );
    }
    this.at += match[0].length;
    return match[0];
  }

  private close(index: number): void {
    if (this.text.charAt(this.at) === '}') {
      this.at++;
      return;
    }
    const rest = this.text.slice(index, Math.min(index + 40, this.text.length));
    if (this.at >= this.text.length) {
      throw new TemplateError(`\`${rest}\` has no closing \`}\``, 'close it, or write `$$` for a dollar', index);
    }
    throw new TemplateError(
      `\`${rest}\` is not an interpolation: after the name come \`}\`, \`:-default\` or \`:?message\``,
      'write `${NAME}`, `${NAME:-default}` or `${NAME:?message}`',
      index,
    );
  }

  private refuseBareName(): void {
    NAME.lastIndex = this.at + 1;
    const match = NAME.exec(this.text);
    if (match === null) return;
    throw new TemplateError(
      `\`$${match[0]}\` is not filled in`,
      `write \`\${${match[0]}}\` for the variable, or \`$$${match[0]}\` for the text`,
      this.at,
    );
  }
}

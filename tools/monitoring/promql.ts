/** Takes PromQL apart by Prometheus's own grammar: which series an expression asks for, by which labels it groups. */
import { parser } from '@prometheus-io/lezer-promql';
import type { SyntaxNode } from '@lezer/common';

/** One `name{label="value"}` of an expression. */
export interface Selector {
  readonly name: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

export interface Parsed {
  readonly selectors: readonly Selector[];
  /** All labels of `by (…)`. */
  readonly groupings: readonly string[];
}

/** Throws an Error with the place for what is no PromQL. Grafana's variables are taken for what they stand for. */
export function parsePromql(expression: string): Parsed {
  const text = expression.replaceAll('$__rate_interval', '5m');
  const selectors: Selector[] = [];
  const groupings: string[] = [];
  parser.parse(text).iterate({
    enter({ type, name, node, from }) {
      if (type.isError) throw new Error(`no PromQL at ${from}: ${text}`);
      if (name === 'VectorSelector') selectors.push(selectorOf(node, text));
      if (name === 'GroupingLabels')
        groupings.push(...node.getChildren('LabelName').map((label) => textOf(label, text)));
    },
  });
  return { selectors, groupings };
}

function selectorOf(node: SyntaxNode, text: string): Selector {
  const identifier = node.getChild('Identifier');
  if (identifier === null) throw new Error(`a selector without a metric's name: ${textOf(node, text)}`);
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  return {
    name: textOf(identifier, text),
    matchers: matchers.map((matcher) => ({
      label: textOf(matcher.getChild('LabelName'), text),
      operator: textOf(matcher.getChild('MatchOp'), text),
      value: textOf(matcher.getChild('StringLiteral'), text).slice(1, -1),
    })),
  };
}

function textOf(node: SyntaxNode | null, text: string): string {
  return node === null ? '' : text.slice(node.from, node.to);
}

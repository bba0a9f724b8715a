/** What the tidy suite needs of Markdown: its links, and the anchors that its headings make. */

const FENCE = /^(```|~~~)[\s\S]*?^\1/gm;
const LINK = /\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;
const REFERENCE = /^\[[^\]]+\]:\s+(\S+)/gm;
const HEADING = /^#{1,6}\s+(.+?)\s*#*$/gm;

/** The text without fenced blocks and code spans, where brackets are no links. */
function prose(markdown: string): string {
  return markdown.replace(FENCE, '').replace(/`[^`\n]*`/g, '');
}

/** Link targets, inline and by reference, as written. */
export function linkTargets(markdown: string): string[] {
  const text = prose(markdown);
  return [...text.matchAll(LINK), ...text.matchAll(REFERENCE)].map(([, target = '']) => target);
}

/** The anchors of a page, as GitHub makes them from headings: lower case, no punctuation, spaces to hyphens. */
export function anchors(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const result = new Set<string>();
  for (const [, heading = ''] of markdown.replace(FENCE, '').matchAll(HEADING)) {
    const slug = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    result.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return result;
}

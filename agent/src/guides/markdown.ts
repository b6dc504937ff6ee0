/**
 * Markdown as a guide's text may hold it: headings, paragraphs, lists, bold, italic, code and links. It is made into
 * elements one by one, never into HTML text, so that nothing in it can run: what is not Markdown is shown as it is written.
 */
export function markdown(text: string): DocumentFragment {
  const made = document.createDocumentFragment();
  for (const block of text.replace(/\r\n?/g, "\n").split(/\n{2,}/)) if (block.trim() !== "") made.append(...blocks(block));
  return made;
}

const HEADING = /^(#{1,3})\s+(.*)$/;
const BULLET = /^\s*[-*]\s+(.*)$/;
const NUMBER = /^\s*\d+[.)]\s+(.*)$/;

/** The elements of lines without an empty one between them. */
function blocks(block: string): Element[] {
  const made: Element[] = [];
  let paragraph: HTMLElement | null = null;
  for (const line of block.split("\n")) {
    const heading = HEADING.exec(line);
    const bullet = BULLET.exec(line);
    const item = bullet ?? NUMBER.exec(line);
    if (heading !== null) {
      made.push(element(`h${(heading[1] ?? "").length + 1}`, inline(heading[2] ?? "")));
      paragraph = null;
    } else if (item !== null) {
      const name = bullet === null ? "OL" : "UL";
      const last = made[made.length - 1];
      const list = last?.tagName === name ? last : document.createElement(name);
      if (list !== last) made.push(list);
      list.append(element("li", inline(item[1] ?? "")));
      paragraph = null;
    } else if (paragraph === null) {
      paragraph = element("p", inline(line));
      made.push(paragraph);
    } else {
      paragraph.append(document.createElement("br"), ...inline(line));
    }
  }
  return made;
}

/** `code`, **bold**, *italic* and [links](https://example.com), whichever comes first. */
const INLINE = /`([^`]+)`|\*\*(.+?)\*\*|\*([^\s*](?:.*?[^\s*])?)\*|\[([^\]]+)\]\(([^\s()]+)\)/;

function inline(text: string): Node[] {
  const found = INLINE.exec(text);
  if (found === null) return text === "" ? [] : [document.createTextNode(text)];
  const [whole, code, bold, italic, label, address] = found;
  const before = text.slice(0, found.index);
  const made =
    code !== undefined ? element("code", [document.createTextNode(code)])
    : bold !== undefined ? element("strong", inline(bold))
    : italic !== undefined ? element("em", inline(italic))
    : link(label ?? "", address ?? "", whole);
  return [...(before === "" ? [] : [document.createTextNode(before)]), made, ...inline(text.slice(found.index + whole.length))];
}

function link(label: string, address: string, whole: string): Node {
  if (!/^(https?:\/\/|mailto:)/i.test(address)) return document.createTextNode(whole);
  const made = element("a", inline(label));
  made.setAttribute("href", address);
  made.setAttribute("target", "_blank");
  made.setAttribute("rel", "noopener noreferrer");
  return made;
}

export function element(name: string, children: Node[] = []): HTMLElement {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

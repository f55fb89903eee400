// Tags are labels of a device; in filters and inputs they are written key:value.

export interface Tag {
  key: string;
  value: string;
}

/** The tag that text says, or what is wrong with it. */
export function parseTag(text: string): Tag | string {
  const at = text.indexOf(":");
  const key = (at < 0 ? text : text.slice(0, at)).trim();
  const value = at < 0 ? "" : text.slice(at + 1).trim();
  if (key === "" || key.length > 64) return "A tag's key has 1 to 64 characters, e.g. site:roanoke.";
  if (new TextEncoder().encode(value).length > 256) return "A tag's value has at most 256 bytes.";
  return { key, value };
}

export function tagList(tags: Record<string, string> | undefined): Tag[] {
  return Object.entries(tags ?? {})
    .map(([key, value]) => ({ key, value }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
}

export function tagObject(tags: readonly Tag[]): Record<string, string> {
  return Object.fromEntries(tags.map((t) => [t.key, t.value]));
}

/** How a tag is written in filters: "site:roanoke", or "spare" for one without a value. */
export function tagText(tag: Tag): string {
  return tag.value === "" ? tag.key : `${tag.key}:${tag.value}`;
}

/** A tag where there is little room: the value alone where it speaks for itself. */
export function tagShort(tag: Tag): string {
  return tag.value.length > 2 ? tag.value : tagText(tag);
}

/** Whether tags have all of the wanted ones. */
export function hasTags(tags: Record<string, string> | undefined, wanted: readonly string[]): boolean {
  return wanted.every((text) => {
    const tag = parseTag(text);
    if (typeof tag === "string") return false;
    const value = tags?.[tag.key];
    return value !== undefined && (!text.includes(":") || value === tag.value);
  });
}

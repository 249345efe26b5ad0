// The name that a page gave its job. Pure.

const LONGEST = 120;

/** `tags.name` of the definition, where it is a text that can stand in one line. */
export function nameOf(definition: unknown): string | null {
  const name = member(member(definition, "tags"), "name");
  if (typeof name !== "string") return null;
  const words = name.replace(/\s+/g, " ").trim();
  return words === "" || words.length > LONGEST ? null : words;
}

function member(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

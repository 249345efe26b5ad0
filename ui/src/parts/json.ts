// What a tree shows of a value of JSON. Pure.

import { text } from "../text";

export type Branch = { key: string; value: unknown };
export type Sort = "string" | "number" | "boolean" | "null" | "list" | "object";

export function sortOf(value: unknown): Sort {
  if (value === null || value === undefined) return "null";
  if (Array.isArray(value)) return "list";
  const sort = typeof value;
  return sort === "object" || sort === "string" || sort === "number" || sort === "boolean" ? sort : "null";
}

export function branchesOf(value: unknown): Branch[] {
  if (Array.isArray(value)) return value.map((item, at) => ({ key: String(at), value: item as unknown }));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).map(([key, item]) => ({ key, value: item as unknown }));
}

export function summaryOf(value: unknown): string {
  const amount = branchesOf(value).length;
  return Array.isArray(value) ? text.json.items(amount) : text.json.keys(amount);
}

// The writes of this client as values, so that they can be sent now, kept for later, or put into a batch.
import type { PostgrestLike } from "./builder.ts";
import type { SupabaseLike } from "./connection.ts";
import { MendgateError } from "./errors.ts";

/** A row as JSON. */
// deno-lint-ignore no-explicit-any
export type Row = Record<string, any>;

/** Which rows are meant: columns with the values that they must have (`null` means IS NULL). */
export type Match = Row;

/**
 * One write as a value.
 *
 * @example
 * ```ts
 * const first: Operation = { op: "insert", table: "people", rows: [{ name: "Ann" }] };
 * const second: Operation = { op: "update", table: "people", values: { name: "Bob" }, match: { id: 1 } };
 * ```
 */
export type Operation =
  | { op: "insert"; table: string; rows: Row | Row[] }
  | { op: "upsert"; table: string; rows: Row | Row[]; onConflict?: string; ignoreDuplicates?: boolean }
  | { op: "update"; table: string; values: Row; match: Match }
  | { op: "delete"; table: string; match: Match };

/** The query of supabase-js for an operation; with `returning` it gives the rows back. */
export function queryOf(supabase: SupabaseLike, operation: Operation, returning: string | null): PostgrestLike {
  const query = begun(supabase, operation);
  return returning === null ? query : query.select(returning);
}

// deno-lint-ignore no-explicit-any
function begun(supabase: SupabaseLike, operation: Operation): any {
  const table = supabase.from(operation.table);
  switch (operation.op) {
    case "insert":
      return table.insert(operation.rows);
    case "upsert":
      return table.upsert(operation.rows, { onConflict: operation.onConflict, ignoreDuplicates: operation.ignoreDuplicates });
    case "update":
      return matching(table.update(operation.values), someOf(operation));
    case "delete":
      return matching(table.delete(), someOf(operation));
  }
}

/** Adds a filter a column. Throws where a value is undefined, or hidden in a list: it would be looked for as the word. */
// deno-lint-ignore no-explicit-any
export function matching(query: any, match: Match): any {
  for (const [column, value] of Object.entries(match)) {
    if (value === undefined || (Array.isArray(value) && value.some((each) => each == null))) throw noMatch(`${column} is to match nothing`);
    if (value === null) query = query.is(column, null);
    else if (Array.isArray(value)) query = query.in(column, value);
    else query = query.eq(column, value);
  }
  return query;
}

/** The match of an update or delete. Throws where it is empty: that would mean every row. */
function someOf(operation: { op: string; table: string; match: Match }): Match {
  if (Object.keys(operation.match ?? {}).length > 0) return operation.match;
  throw noMatch(`${operation.op} of ${operation.table} without a match would change every row`);
}

function noMatch(message: string): MendgateError {
  return new MendgateError({ message, code: "no_match", hint: "Say which rows are meant, e.g. { id: 1 }. For every row use supabase-js itself." });
}

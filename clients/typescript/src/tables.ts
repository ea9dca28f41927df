// What the types of generate_types (or Supabase's own) say of a table; without types everything is allowed.

type IsAny<T> = 0 extends 1 & T ? true : false;
// deno-lint-ignore no-explicit-any
type Open = Record<string, any>;
type Tables<Database> = IsAny<Database> extends true ? never : Database extends { public: { Tables: infer T } } ? T : never;
type Part<Database, T, P extends string> = T extends keyof Tables<Database> ? (Tables<Database>[T] extends Record<P, infer Row> ? Row : Open) : Open;

/** The tables that a Database type has; any name without one. */
export type TableName<Database> = [Tables<Database>] extends [never] ? string : keyof Tables<Database> & string;
/** A row as it is read. */
export type RowOf<Database, T> = Part<Database, T, "Row">;
/** A row as it is inserted. */
export type Insert<Database, T> = Part<Database, T, "Insert">;
/** What may be changed of a row. */
export type Update<Database, T> = Part<Database, T, "Update">;

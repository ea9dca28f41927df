/**
 * The edge client of Mendgate, for Deno, Node, Bun and edge workers. No dependencies; supabase-js is yours.
 *
 * @example
 * ```ts
 * import { createClient } from "@supabase/supabase-js";
 * const db = createResilientDb(createClient(Deno.env.get("SUPABASE_URL")!, Deno.env.get("SUPABASE_SERVICE_ROLE_KEY")!));
 * const { error, healing } = await db.insert("people", { name: "Ann", email: "ann@example.org" });
 * if (error) throw error;
 * console.log(healing.healed); // ["rename_column(email->email_address)"]
 * ```
 *
 * @module
 */
export { type Answer, type BatchResult, createResilientDb, ResilientDb, type ResilientDbOptions, type SelectOptions, type WriteOptions } from "./db.ts";
export { type BreakerSettings, type Call, CircuitBreaker, circuitBreakerRegistry, CircuitBreakerRegistry, type Fallback } from "./breaker.ts";
export { type Connection, type SupabaseLike } from "./connection.ts";
export { type ErrorKind, type ErrorParts, MendgateError } from "./errors.ts";
export { type Healing, withReceipt } from "./healing.ts";
export { type Match, type Operation, type Row } from "./operations.ts";
export { type Metrics, performanceMonitor, PerformanceMonitor, type Timings } from "./performance.ts";
export { createSchemaVersionManager, type SchemaChange, type SchemaEvent, type SchemaListener, type SchemaOptions, SchemaVersionManager } from "./schema.ts";
export { localSpool, type Spooled, type SpoolOptions, type SpoolStorage } from "./spool.ts";
export { type Insert, type RowOf, type TableName, type Update } from "./tables.ts";
export { type OperationResult, Planned, type Ref, TransactionBuilder, type TransactionOperation, type TransactionOptions, type TransactionResult } from "./transaction.ts";

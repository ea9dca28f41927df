// Following the schema's versions: a stream that resumes, or looks.
import test, { after } from "node:test";
import { createSchemaVersionManager, type SchemaChange, type SchemaVersionManager } from "../src/mod.ts";
import { assert, connection, manage, sql, until } from "./stage.ts";

async function rename(from: string, to: string): Promise<void> {
  await sql(`ALTER TABLE places RENAME COLUMN ${from} TO ${to}`);
  await manage("capture_schema");
}
const managers: SchemaVersionManager[] = [];
after(() => managers.forEach((each) => each.close()));
const renamed = (changes: SchemaChange[]) => changes.filter((each) => each.kind === "column_renamed").map((each) => each.sentence);

test("a change comes as it happens; what happened in between comes after a new start", async () => {
  const heard: string[] = [];
  const errors: unknown[] = [];
  const manager = createSchemaVersionManager(connection, { onError: (error) => errors.push(error) });
  managers.push(manager);
  manager.onSchemaChange((changes) => void heard.push(...renamed(changes)));
  const began = await manager.initialize();
  await rename("a", "b");
  await until(() => heard.length === 1);
  assert.ok(manager.version > began);
  manager.close();
  await rename("b", "c");
  await rename("c", "d");
  const again = createSchemaVersionManager(connection, { since: manager.version });
  managers.push(again);
  again.onSchemaChange((changes) => void heard.push(...renamed(changes)));
  await again.initialize();
  await until(() => heard.length === 3);
  again.close();
  assert.equal(new Set(heard).size, 3);
  assert.deepEqual(errors, []);
});
test("where no stream can be had it looks, and hears the same", async () => {
  const noStream: typeof fetch = (input, init) => String(input).endsWith("/events") ? Promise.reject(new TypeError("no streams here")) : fetch(input, init);
  const heard: string[] = [];
  const manager = createSchemaVersionManager({ ...connection, fetch: noStream }, { pollEvery: 50 });
  managers.push(manager);
  manager.onSchemaChange(() => { throw new Error("a listener's own fault stops nobody"); });
  manager.onSchemaChange((changes) => void heard.push(...renamed(changes)));
  await manager.initialize();
  await rename("d", "e");
  await rename("e", "f");
  await until(() => heard.length === 2);
  manager.close();
});
test("a function that lives a moment looks once", async () => {
  const manager = createSchemaVersionManager(connection, { stream: false });
  assert.deepEqual(await manager.check(), []);
  await rename("f", "g");
  const heard: number[] = [];
  const stop = manager.onSchemaChange((_, event) => void heard.push(event.epoch));
  assert.deepEqual(renamed(await manager.check()).length, 1);
  assert.deepEqual(heard, [manager.version]);
  stop();
  assert.deepEqual(await manager.check(), []);
});

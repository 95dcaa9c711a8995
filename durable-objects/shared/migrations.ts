/**
 * Schemas of objects are append-only lists of steps. What was applied is remembered with its text, and a step whose text
 * differs from what was applied is refused: an object in the field must never meet a rewritten past.
 */

/** Applies the steps that an object has not seen yet, in one transaction. */
export function migrate(storage: DurableObjectStorage, steps: readonly string[]): void {
  storage.transactionSync(() => {
    storage.sql.exec("CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT");
    const applied = storage.sql
      .exec<{ text: string }>("SELECT text FROM migrations ORDER BY step")
      .toArray()
      .map((row) => row.text);
    if (applied.length > steps.length) throw new Error("the object's schema is newer than its code");
    for (const [step, text] of steps.entries()) {
      if (step >= applied.length) {
        storage.sql.exec(text);
        storage.sql.exec("INSERT INTO migrations (step, text) VALUES (?, ?)", step, text);
      } else if (applied[step] !== text) {
        throw new Error(`migration ${step} was changed after it had been applied`);
      }
    }
  });
}

/** Whether an object has a schema at all, that is, whether it was ever brought into being on purpose. */
export function isMigrated(storage: DurableObjectStorage): boolean {
  return (
    storage.sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'").toArray().length > 0
  );
}

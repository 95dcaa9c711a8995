// What workerd says when a test does on purpose what in production would be an accident: a consumer who leaves in the
// middle of a stream, and objects that are thrown away while they still do something, or lost on purpose.
const EXPECTED = [
  "disconnected: reader canceled",
  "disconnected: pump canceled",
  "Application called deleteAllDurableObjects()",
  "outputGateBroken; jsg.Error: lost",
  "Error: the call was lost",
  "Error: away: SQLITE_CONSTRAINT",
];

/** Keeps the runtime's expected complaints out of the output of tests. Anything else is shown as it comes. */
export function quietRuntime(): void {
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    const filtered = (chunk: unknown, ...rest: unknown[]): boolean =>
      (typeof chunk === "string" && EXPECTED.some((text) => chunk.includes(text))) || write(chunk, ...rest);
    stream.write = filtered;
  }
}

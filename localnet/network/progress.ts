/** What `npm start` shows while it works: one line a step, with the time it took. */

import pc from "picocolors";

export class Progress {
  readonly #startedAt = performance.now();

  /** Runs a step and shows how it went. */
  async step<T>(name: string, work: () => Promise<T>, detail: (result: T) => string = () => ""): Promise<T> {
    const startedAt = performance.now();
    if (process.stdout.isTTY) process.stdout.write(`  ${pc.dim("…")} ${name}`);
    try {
      const result = await work();
      this.#line(pc.green("✓"), name, startedAt, detail(result));
      return result;
    } catch (error) {
      this.#line(pc.red("✗"), name, startedAt, "");
      throw error;
    }
  }

  #line(mark: string, name: string, startedAt: number, detail: string): void {
    const seconds = pc.dim(`${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
    const clear = process.stdout.isTTY ? "\r\x1b[K" : "";
    process.stdout.write(`${clear}  ${mark} ${name}${detail === "" ? "" : `: ${detail}`}  ${seconds}\n`);
  }

  /** Seconds since the start. */
  get elapsed(): string {
    return ((performance.now() - this.#startedAt) / 1_000).toFixed(1);
  }
}

/** A plain line. */
export function say(text = ""): void {
  process.stdout.write(`${text}\n`);
}

/** Where a command writes: data to stdout, progress and errors to stderr. Tests bring their own. */

import pico from "picocolors";

export interface Terminal {
  /** One line of data. */
  out(line: string): void;
  /** A line for the person who waits. */
  err(line: string): void;
  /** Whether a person reads stderr. */
  readonly interactive: boolean;
  readonly colors: ReturnType<typeof pico.createColors>;
}

/** The process's own streams; colours follow NO_COLOR, FORCE_COLOR and whether stdout is a terminal. */
export function processTerminal(): Terminal {
  return {
    out: (line) => void process.stdout.write(`${line}\n`),
    err: (line) => void process.stderr.write(`${line}\n`),
    interactive: process.stderr.isTTY,
    colors: pico.createColors(pico.isColorSupported),
  };
}

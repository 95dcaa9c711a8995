/** Programs that tell about the machine. */

import { execFile } from "node:child_process";

const PROGRAM_MS = 5_000;

/** Runs a program and gives its output, or null when it is missing, fails or takes too long. */
export type Run = (program: string, args: readonly string[]) => Promise<string | null>;

export const runProgram: Run = (program, args) =>
  new Promise((resolve) => {
    execFile(program, [...args], { timeout: PROGRAM_MS, windowsHide: true }, (error, stdout) =>
      resolve(error === null ? stdout : null),
    );
  });

/** Ends of a command that are not success: the one table of exit codes, and the error that carries one. */

/** Exit codes of `tollmill`. Scripts match on them, so a number is never reused. */
export const EXIT = {
  ok: 0,
  /** A check failed: a receipt is not what it claims to be. */
  checkFailed: 1,
  /** The command line or a file that it names is wrong; nothing was tried. */
  usage: 2,
  /** The network or an engine cannot be reached. */
  unreachable: 3,
  /** The network was reached and said no: a wrong key, an unknown job, a daemon that is not enrolled. */
  refused: 4,
  /** Something broke that should not have: a bug, or a disk that cannot be written. */
  broken: 5,
  /** A second signal stopped a daemon that was still draining (128 + SIGINT). */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** An end that is no bug: its message says what is wrong and what to do, and no stack is shown. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The text of whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The code of a system error such as ENOSPC, or null. */
export function systemCode(error: unknown): string | null {
  if (typeof error !== "object" || error === null) return null;
  if ("code" in error && typeof error.code === "string") return error.code;
  return "cause" in error ? systemCode(error.cause) : null;
}

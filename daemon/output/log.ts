/**
 * The daemon's events: one line each on stderr, readable on a terminal, NDJSON elsewhere. Fields are ids, counts and
 * codes. Prompts and completions are never passed in, and neither is a text that an engine wrote, as it may quote them.
 */

import pico from "picocolors";

export type Level = "info" | "warning" | "error";
export type Fields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface Log {
  info(event: string, fields?: Fields): void;
  warning(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
}

export interface LogOptions {
  readonly json: boolean;
  readonly color: boolean;
  readonly write: (line: string) => void;
  readonly now: () => number;
}

/** Makes a log. It never throws: a line that cannot be written is lost. */
export function createLog(options: LogOptions): Log {
  const format = options.json ? jsonLine : lineFormat(options.color);
  const emit = (level: Level, event: string, fields: Fields = {}): void => {
    try {
      options.write(`${format(options.now(), level, event, fields)}\n`);
    } catch {
      // A closed pipe must not end a daemon that is serving.
    }
  };
  return {
    info: (event, fields) => emit("info", event, fields),
    warning: (event, fields) => emit("warning", event, fields),
    error: (event, fields) => emit("error", event, fields),
  };
}

function jsonLine(now: number, level: Level, event: string, fields: Fields): string {
  return JSON.stringify({ time: new Date(now).toISOString(), level, event, ...fields });
}

function lineFormat(color: boolean) {
  const colors = pico.createColors(color);
  const marks = { info: colors.green("•"), warning: colors.yellow("!"), error: colors.red("✗") };
  return (now: number, level: Level, event: string, fields: Fields): string => {
    const time = colors.dim(new Date(now).toTimeString().slice(0, 8));
    const details = Object.entries(fields)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([key, value]) => `${colors.dim(`${key}=`)}${printable(String(value))}`);
    return [time, marks[level], event, ...details].join(" ");
  };
}

/** Text of others on one line: control characters could rewrite the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}

/**
 * Storage commits, counted from outside: SQLite marks the last frame of every commit in its write-ahead log
 * (https://www.sqlite.org/fileformat2.html, section 4).
 */

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

export interface Wal {
  /** Changes whenever the log is begun anew. */
  readonly salt: string;
  readonly commits: number;
  readonly frames: number;
}

/** Reads a write-ahead log; null when there is none in these bytes. */
export function readWal(bytes: Buffer): Wal | null {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32BE(0) >>> 1 !== 0x377f0682 >>> 1) return null;
  const page = bytes.readUInt32BE(8);
  const salt = bytes.toString("hex", 16, 24);
  let commits = 0;
  let frames = 0;
  for (let at = HEADER_BYTES; at + FRAME_HEADER_BYTES + page <= bytes.length; at += FRAME_HEADER_BYTES + page) {
    // A frame with another salt is left over from before the log was begun anew.
    if (bytes.toString("hex", at + 8, at + 16) !== salt) break;
    frames += 1;
    if (bytes.readUInt32BE(at + 4) > 0) commits += 1;
  }
  return { salt, commits, frames };
}

/**
 * Counts commits over many readings of many logs, by their names. A log that was begun anew since the last reading, as its
 * object was evicted or its pages were moved into the database, counts from its start; what it had before was read already
 * if readings come more often than logs begin anew.
 */
export class CommitCounter {
  readonly #last = new Map<string, Wal>();
  readonly #counts = new Map<string, number>();

  /** Takes the readings of all logs there are. Commits of the first one are not counted. */
  look(logs: ReadonlyMap<string, Wal | null>, isFirst = false): void {
    for (const [name, wal] of logs) {
      if (wal === null) continue;
      const before = this.#last.get(name);
      const known = before?.salt === wal.salt ? before.commits : 0;
      if (!isFirst) this.#counts.set(name, (this.#counts.get(name) ?? 0) + wal.commits - known);
      this.#last.set(name, wal);
    }
  }

  /** Commits in the logs whose names contain `part`. */
  total(part: string): number {
    return [...this.#counts].reduce((sum, [name, commits]) => sum + (name.includes(part) ? commits : 0), 0);
  }
}

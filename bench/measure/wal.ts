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

/** Commits between two readings of one log; null when it was begun anew in between, as the count is lost then. */
export function commitsBetween(before: Wal | null, after: Wal | null): number | null {
  if (before === null) return after?.commits ?? 0;
  return after !== null && after.salt === before.salt ? after.commits - before.commits : null;
}

/**
 * A mirror's file: whole lines, each ending with a line feed. What stands there is never changed or cut off. A run that
 * was interrupted leaves the beginning of a line at the end; the next run writes that same line over it, from its start. Every
 * line has its place in the file, so that two runs at once write the same bytes.
 */

import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { EXIT, Failure, systemCode } from "../failure.ts";

const LINE_FEED = 0x0a;
const CHUNK_BYTES = 1_048_576;
/** An entry has some 1.2 KB: what has no line feed for so long is no ledger. */
const MOST_LINE_BYTES = 65_536;

export class MirrorFile {
  readonly path: string;
  readonly #file: FileHandle;
  /** Where the next line goes: behind the last whole one. */
  #end = 0;
  #rest: Buffer = Buffer.alloc(0);

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** Opens a file, or makes it: readable by its owner alone, as a ledger says who bought what. Throws a Failure. */
  static async open(path: string): Promise<MirrorFile> {
    try {
      return new MirrorFile(path, await open(path, constants.O_RDWR | constants.O_CREAT, 0o600));
    } catch (error) {
      throw new Failure(EXIT.usage, `${path} cannot be opened for writing (${systemCode(error) ?? "unknown"}).`);
    }
  }

  /** The file's whole lines, in order; afterwards {@link isCut} says whether more stands behind them. */
  async *lines(): AsyncGenerator<string> {
    let pending: Buffer = Buffer.alloc(0);
    let position = 0;
    this.#end = 0;
    for (;;) {
      const chunk = Buffer.alloc(CHUNK_BYTES);
      const { bytesRead } = await this.#file.read(chunk, 0, CHUNK_BYTES, position);
      if (bytesRead === 0) break;
      position += bytesRead;
      pending = Buffer.concat([pending, chunk.subarray(0, bytesRead)]);
      let start = 0;
      for (let feed = pending.indexOf(LINE_FEED); feed !== -1; feed = pending.indexOf(LINE_FEED, start)) {
        this.#end += feed + 1 - start;
        yield pending.subarray(start, feed).toString("utf8");
        start = feed + 1;
      }
      pending = pending.subarray(start);
      if (pending.length > MOST_LINE_BYTES) break;
    }
    this.#rest = pending;
  }

  /** Whether the last line was cut. */
  get isCut(): boolean {
    return this.#rest.length > 0;
  }

  /** Whether the cut line is the beginning of this one, so that writing it whole mends the file. */
  isMendedBy(line: string): boolean {
    return Buffer.from(`${line}\n`).subarray(0, this.#rest.length).equals(this.#rest);
  }

  /** Writes lines behind the whole ones. They are on the disk when this resolves. Throws a Failure. */
  async append(lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
    try {
      for (let written = 0; written < bytes.length; ) {
        const { bytesWritten } = await this.#file.write(bytes, written, bytes.length - written, this.#end + written);
        written += bytesWritten;
      }
      await this.#file.sync();
    } catch (error) {
      throw new Failure(EXIT.broken, `${this.path} cannot be written (${systemCode(error) ?? "unknown"}).`);
    }
    this.#end += bytes.length;
    this.#rest = Buffer.alloc(0);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

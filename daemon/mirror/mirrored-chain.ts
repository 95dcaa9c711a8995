/** Keeps and checks one chain of an account's entries: its own, or that of a slice. */

import { LIMITS } from "../../core/limits.ts";
import { LedgerChain, type LedgerEntry } from "../../protocol/chain.ts";
import { readLedger } from "../commands/ledger.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Settings } from "../network/settings.ts";
import type { MirrorFile } from "./mirror-file.ts";
import { Broken, entryOf, lineOf } from "./mirror-line.ts";
import { differenceOf, OTHER, signatureUnder } from "./network-word.ts";
import type { Finding, MirrorOptions, MirrorReport } from "./report.ts";

export class MirroredChain {
  readonly #settings: Settings;
  readonly #file: MirrorFile;
  readonly #options: MirrorOptions;
  /** 0 for the account's own chain. */
  readonly #slice: number;
  readonly #chain = new LedgerChain();
  /** The hash of each entry's body, and with `recheck` each line. */
  readonly #hashes: string[] = [];
  readonly #lines: string[] = [];
  #lastLine = "";
  #claims = 0;
  added = 0;
  mended = false;

  constructor(settings: Settings, file: MirrorFile, options: MirrorOptions, slice: number) {
    this.#settings = settings;
    this.#file = file;
    this.#options = options;
    this.#slice = slice;
  }

  get seq(): number {
    return this.#chain.seq;
  }

  get head(): string {
    return this.#chain.head;
  }

  get slices(): readonly number[] {
    return this.#chain.slices;
  }

  get sum(): number {
    const { nanoUsd, millicredits } = this.#chain.sum;
    return nanoUsd + millicredits;
  }

  /** Brings the file up to date. Throws {@link Broken} where an entry does not hold. */
  async follow(): Promise<void> {
    await this.#marked(async () => {
      await this.#readFile();
      await this.#compare();
      await this.#extend();
    });
  }

  /** Adds what the network has beyond the file; `afterEach` is called after each entry. */
  async extend(afterEach: () => void): Promise<void> {
    await this.#marked(() => this.#extend(afterEach));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Says of what breaks in which chain it was. */
  async #marked<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof Broken) error.slice = this.#slice;
      throw error;
    }
  }

  #read(from: number, limit: number): Promise<LedgerEntry[]> {
    return readLedger(this.#settings, from, limit, this.#slice);
  }

  /** Reads and checks what the file has. */
  async #readFile(): Promise<void> {
    const { recheck } = this.#options;
    for await (const line of this.#file.lines()) {
      const entry = entryOf(line);
      const seq = this.#chain.seq + 1;
      if (entry === null) {
        throw new Broken("form", seq, `line ${seq} of ${this.#file.path} is not as mirrors write entries`);
      }
      try {
        this.#add(entry, recheck, `in ${this.#file.path}`);
      } catch (error) {
        throw error instanceof Broken && error.check === "chain" ? await this.#guiltyOf(error) : error;
      }
      this.#lastLine = line;
      if (recheck) this.#lines.push(line);
    }
  }

  /** Where an entry and the hash that the next one names differ, the network tells which of the two was changed. */
  async #guiltyOf(broken: Broken): Promise<Broken> {
    const before = this.#chain.seq;
    const [theirs] = await this.#read(before, 1).catch(() => []);
    if (theirs === undefined || lineOf(theirs) === this.#lastLine) return broken;
    return new Broken(
      "chain",
      before,
      `its hash is not the one that entry ${broken.seq} names (in ${this.#file.path})`,
    );
  }

  #add(entry: LedgerEntry, claim: boolean, where: string): void {
    const bad = this.#chain.add(entry, { claim });
    if (bad !== null) throw new Broken(bad.check, bad.seq, `${bad.detail} (${where})`);
    if (claim && entry.type === "spent") this.#claims += 1;
    this.#hashes.push(this.#chain.head);
  }

  /** Holds what the file has against the network, which may not have changed any of it. Nothing is written until then. */
  async #compare(): Promise<void> {
    const { seq } = this.#chain;
    if (seq === 0) return;
    const [theirs] = await this.#read(seq, 1);
    if (theirs === undefined || lineOf(theirs) !== this.#lastLine) {
      throw await differenceOf((from, limit) => this.#read(from, limit), this.#hashes, this.#file.path);
    }
    if (!this.#options.recheck) return;
    for (let from = 1; from <= seq; from += LIMITS.maxPageRows) {
      for (const entry of await this.#read(from, Math.min(LIMITS.maxPageRows, seq - from + 1))) {
        if (lineOf(entry) !== this.#lines[entry.seq - 1]) throw new Broken("network", entry.seq, OTHER);
      }
    }
  }

  /** Adds what the network has beyond the file, page by page, each page on the disk before the next one is asked for. */
  async #extend(afterEach: () => void = () => {}): Promise<void> {
    for (;;) {
      const page = await this.#read(this.#chain.seq + 1, LIMITS.maxPageRows);
      this.#mendBy(page[0]);
      const good: string[] = [];
      try {
        for (const entry of page) {
          this.#add(entry, true, `as ${this.#settings.url} gives it`);
          good.push(lineOf(entry));
          afterEach();
        }
      } finally {
        if (good.length > 0) await this.#file.append(good);
        this.added += good.length;
      }
      this.#options.onPage?.(this.#chain.seq);
      if (page.length < LIMITS.maxPageRows) return;
    }
  }

  /** A line that was cut has to be the beginning of the entry that comes next: anything else was not written by a mirror. */
  #mendBy(next: LedgerEntry | undefined): void {
    if (!this.#file.isCut) return;
    if (next === undefined || !this.#file.isMendedBy(lineOf(next))) {
      const why = `ends with a line that is no beginning of entry ${this.#chain.seq + 1}`;
      throw new Failure(EXIT.usage, `${this.#file.path} ${why}. It was left as it is; is it a mirror?`);
    }
    this.mended = true;
  }

  /** What holds of this chain. */
  findings(): Finding[] {
    const { seq, head, receipts } = this.#chain;
    const of = this.#slice === 0 ? "" : `slice ${this.#slice}: `;
    const say = (check: string, detail: string): Finding => ({ check, ok: true, detail: `${of}${detail}` });
    if (seq === 0) return [say("entries", "the account has no entries yet")];
    const before = receipts - this.#claims;
    const earlier = before > 0 ? `; ${before} were checked when they came` : "";
    return [
      say("entries", `${seq} without a gap, each of a known form, none older than the one before it`),
      say("chain", `each names the hash of the one before it; the last hash is ${head}`),
      say(
        "network",
        this.#options.recheck ? "every line is what the network says today" : "the network's chain is the same",
      ),
      say("receipts", `price, parts and split of ${receipts} computed again, no job charged twice`),
      say("claims", `${this.#claims} signatures of daemons${earlier}`),
    ];
  }

  /** The network's signature under the newest receipt; null where there is none. */
  async checkSignature(): Promise<{ finding: Finding; signed: NonNullable<MirrorReport["signed"]> } | null> {
    const last = this.#chain.lastReceipt;
    if (last === null) return null;
    const word = await this.#marked(() => signatureUnder(this.#settings, last, this.#options.networkKey));
    const { key, signature } = word;
    const of = this.#slice === 0 ? "" : ` of slice ${this.#slice}`;
    const detail = `by ${key} under entry ${last.seq}${of}, which vouches for every entry up to it`;
    return { finding: { check: "network_signature", ok: true, detail }, signed: { seq: last.seq, key, signature } };
  }
}

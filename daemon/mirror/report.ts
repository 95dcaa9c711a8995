/** What a mirror's run is asked for, and what it finds. */

export interface MirrorOptions {
  /** Checks the claims' signatures of all entries and holds each line against the network's, not only what is new. */
  readonly recheck: boolean;
  readonly networkKey: string | undefined;
  /** Told how many entries there are, after each page. */
  readonly onPage?: (entries: number) => void;
}

/** One thing that was checked; `ok` is null where it could not be. */
export interface Finding {
  readonly check: string;
  readonly ok: boolean | null;
  readonly detail: string;
}

export interface MirrorReport {
  readonly entries: number;
  readonly added: number;
  readonly mended: boolean;
  readonly head: string;
  readonly findings: readonly Finding[];
  /** The first entry that does not hold, where one does not. */
  readonly badSeq: number | null;
  /** The network's word for the newest receipt, and by its chain for every entry before it. */
  readonly signed: { readonly seq: number; readonly key: string; readonly signature: string } | null;
}

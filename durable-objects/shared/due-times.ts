/**
 * Many due times over few timers. The runtime keeps some 260 bytes for every timer that is cleared before it fires, for as
 * long as its object is awake, and a busy relay always is. So a due time that passes away leaves its timer alone, which
 * fires and looks what is due by then; timers are cleared only when nothing is due any more, as the object may sleep then.
 */

interface Due {
  readonly at: number;
  readonly run: () => void;
}

export class DueTimes {
  readonly #due = new Map<object, Due>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  /** When the next timer fires; never after the first due time. */
  #armedFor = Number.POSITIVE_INFINITY;

  /** Calls `run` at a time (milliseconds since 1970), instead of whatever its owner had due before. */
  set(owner: object, at: number, run: () => void): void {
    this.#due.set(owner, { at, run });
    if (at < this.#armedFor) this.#arm(at);
  }

  /** The owner has nothing due any more. */
  clear(owner: object): void {
    this.#due.delete(owner);
    if (this.#due.size === 0) this.#rest();
  }

  #arm(at: number): void {
    this.#armedFor = at;
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        if (this.#armedFor === at) this.#armedFor = Number.POSITIVE_INFINITY;
        this.#look();
      },
      Math.max(1, at - Date.now()),
    );
    this.#timers.add(timer);
  }

  #look(): void {
    const now = Date.now();
    const due = [...this.#due].filter(([, { at }]) => at <= now);
    try {
      for (const [owner, entry] of due) {
        // One that ran before it may have changed or cleared it.
        if (this.#due.get(owner) !== entry) continue;
        this.#due.delete(owner);
        entry.run();
      }
    } finally {
      const next = Math.min(...[...this.#due.values()].map(({ at }) => at));
      if (next < this.#armedFor) this.#arm(next);
      else if (this.#due.size === 0) this.#rest();
    }
  }

  /** A timer that is left behind would keep the object awake, and billed. */
  #rest(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#armedFor = Number.POSITIVE_INFINITY;
  }
}

/**
 * When each stream has to be looked at next, over one timer of the platform: most streams end before anything of theirs is
 * due, and a timer that is set and cleared for each of their steps costs more than the steps.
 */
export class DueTimes {
  readonly #due = new Map<object, { readonly at: number; readonly look: () => void }>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** When the timer rings. */
  #ringsAt = Number.POSITIVE_INFINITY;

  /** Calls `look` at a time (milliseconds since 1970), once, in place of what was set for the same owner before. */
  set(owner: object, at: number, look: () => void): void {
    this.#due.set(owner, { at, look });
    if (at < this.#ringsAt) this.#arm(at);
  }

  clear(owner: object): void {
    // A timer that is left behind with nothing to look at would keep the object awake, and billed.
    if (this.#due.delete(owner) && this.#due.size === 0) this.#disarm();
  }

  #arm(at: number): void {
    this.#disarm();
    this.#timer = setTimeout(() => this.#ring(), Math.max(1, at - Date.now()));
    this.#ringsAt = at;
  }

  #disarm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#ringsAt = Number.POSITIVE_INFINITY;
  }

  #ring(): void {
    this.#disarm();
    const now = Date.now();
    const ripe = [...this.#due].filter(([, { at }]) => at <= now);
    for (const [owner, due] of ripe) {
      // One look may have changed what another was to see.
      if (this.#due.get(owner) !== due) continue;
      this.#due.delete(owner);
      due.look();
    }
    let next = Number.POSITIVE_INFINITY;
    for (const { at } of this.#due.values()) next = Math.min(next, at);
    if (next < this.#ringsAt) this.#arm(next);
  }
}

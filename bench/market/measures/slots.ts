/** What slots do: whether one is idle while a job waits. */

export class SlotTime {
  #since: number | null = null;
  #now = { slots: 0, running: 0, waiting: 0 };
  #slotMs = 0;
  #busyMs = 0;
  #wastedMs = 0;

  /** From a moment on, so many slots are there, so many jobs run and so many wait. */
  set(now: number, slots: number, running: number, waiting: number): void {
    if (this.#since !== null) {
      const ms = now - this.#since;
      const idle = Math.max(0, this.#now.slots - this.#now.running);
      this.#slotMs += ms * this.#now.slots;
      this.#busyMs += ms * this.#now.running;
      this.#wastedMs += ms * Math.min(idle, this.#now.waiting);
    }
    this.#since = now;
    this.#now = { slots, running, waiting };
  }

  /** The part of the slots' time in which they had a job, and in which they had none while one waited. */
  get parts(): { readonly busy: number; readonly wasted: number } {
    return { busy: this.#busyMs / this.#slotMs, wasted: this.#wastedMs / this.#slotMs };
  }
}

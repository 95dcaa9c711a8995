/**
 * Time that stands still until a test moves it, for a whole network inside workerd. Objects share the test's `Date` and
 * `setTimeout`, but the platform lets a timer touch only what belongs to the object that set it. So every timer looks at
 * the clock by itself, every few real milliseconds and where it was set, until it is due.
 */

import { vi } from "vitest";

const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

/** Real milliseconds between two looks of a timer. */
const LOOK_MS = 3;
/** A timer that has not looked for this long went away with its object or its request. */
const DEAD_MS = 5 * LOOK_MS;
/** Far enough ahead that no alarm of an object ever rings by itself. */
const START = Date.UTC(2040, 0, 1);

/** Lets the network go on for some real milliseconds. */
export function breathe(ms: number): Promise<void> {
  return new Promise((resolve) => real.setTimeout(resolve, ms));
}

interface Timer {
  readonly due: number;
  looked: number;
  over: boolean;
}

export class Clock {
  #timers: Timer[] = [];

  /** Stops the time of everything in this isolate. */
  start(): void {
    vi.useFakeTimers({ toFake: ["Date"], now: START });
    const setTimer = (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): Timer => {
      const timer: Timer = { due: Date.now() + ms, looked: performance.now(), over: false };
      const look = (): void => {
        if (timer.over) return;
        timer.looked = performance.now();
        if (Date.now() < timer.due) {
          real.setTimeout(look, LOOK_MS);
          return;
        }
        timer.over = true;
        callback(...args);
      };
      this.#timers.push(timer);
      real.setTimeout(look, ms === 0 ? 0 : LOOK_MS);
      return timer;
    };
    const clearTimer = (timer: Timer | null | undefined): void => {
      if (timer) timer.over = true;
    };
    Object.assign(globalThis, { setTimeout: setTimer, clearTimeout: clearTimer });
  }

  /** Gives real time back. Timers that still wait never fire: their objects are about to be reset. */
  stop(): void {
    for (const timer of this.#timers) timer.over = true;
    Object.assign(globalThis, real);
    vi.useRealTimers();
  }

  /** Moves time on in one leap, and returns when every timer that was due by then has fired. */
  async pass(ms: number): Promise<void> {
    vi.setSystemTime(Date.now() + ms);
    // After this pause whoever is alive has looked, however long the machine was busy before.
    await breathe(LOOK_MS + 1);
    while (this.#living().some((timer) => timer.due <= Date.now())) await breathe(1);
    this.#timers = this.#living();
  }

  #living(): Timer[] {
    const since = performance.now() - DEAD_MS;
    return this.#timers.filter((timer) => !timer.over && timer.looked >= since);
  }
}

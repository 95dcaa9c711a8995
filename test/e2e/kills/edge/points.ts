/**
 * The points at which the Worker can be ended: each has a name, and the test chooses one of them. When it is reached the
 * whole Worker stands still, as a process does that has been killed: nothing passes any point any more, and what runs in
 * between has no effect outside of memory. A point can also be held for a while, as a slow network holds a message.
 *
 * Every call from one part of the Worker to another stands between two points, as does everything that the platform calls.
 * What a part awaits of itself (a digest, a signature) changes nothing that outlives the process.
 */

/** Longer than any test. A promise that nothing could settle would be noticed by the runtime, and its request failed. */
const FOREVER_MS = 2 ** 30;
const POLL_MS = 5;

/** One passing of a point: the first is 1. */
export interface Fault {
  readonly point: string;
  readonly occurrence: number;
}

let mode: "quiet" | "recording" | Fault = "quiet";
let stopped = false;
/** The point at which whoever comes waits until it is let go. */
let held: string | null = null;
/** The point at which the next one to come fails. */
let broken: string | null = null;
const passings = new Map<string, number>();

/** From now on says every point that is passed. */
export function record(): void {
  begin("recording");
}

/** From now on waits for one passing of a point, counted from here. */
export function arm(fault: Fault): void {
  begin(fault);
}

/** From now on lets nobody pass a point; with null, everybody goes on. */
export function hold(point: string | null): void {
  held = point;
}

/** Lets the next one to come to a point fail there, as a call whose message is lost. */
export function breakOnce(point: string): void {
  broken = point;
}

function begin(next: typeof mode): void {
  passings.clear();
  mode = next;
}

/** Passes a point, or never comes back. Throws where the point is broken. */
export async function reach(point: string): Promise<void> {
  if (!passes(point)) await sleep(FOREVER_MS);
  if (broken === point) {
    broken = null;
    throw new Error(`lost at ${point}`);
  }
  // Each asks by itself: a promise belongs to the request that has made it.
  const isHeld = (): boolean => held === point;
  while (isHeld()) await sleep(POLL_MS);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether what stands behind a point may still happen: for what cannot wait. */
export function passes(point: string): boolean {
  if (stopped) return false;
  if (mode === "quiet") return true;
  const occurrence = (passings.get(point) ?? 0) + 1;
  passings.set(point, occurrence);
  if (mode === "recording") console.log(`passed ${point}`);
  else if (mode.point === point && mode.occurrence === occurrence) {
    stopped = true;
    console.log(`reached ${point}`);
  }
  return !stopped;
}

/** Does something between two points. */
export async function between<T>(before: string, work: () => T | Promise<T>, after: string): Promise<T> {
  await reach(before);
  const result = await work();
  await reach(after);
  return result;
}

/**
 * When a daemon serves, in its owner's words, such as `mon-fri 22:00-06:00, sat-sun in Europe/Berlin`:
 *
 *     schedule = part {"," part} ["in" zone]       zone: a name of the IANA database; else the machine's own
 *     part     = [day {day}] [time {time}]         one of both at least: no day is every day, no time the whole day
 *     day      = "mon" | "mon-fri" | "sat-mon" …
 *     time     = "09:00-17:30" | "22:00-06:00" …   the end does not belong to it; one before its begin is the next day's
 *
 * A time is what a clock on the wall shows. Where clocks are set back an hour comes twice, and counts both times; where they
 * are set forward one is missing.
 */

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const DAY_MINUTES = 24 * 60;
const WEEK_MINUTES = DAYS.length * DAY_MINUTES;
/** What an offer carries (protocol/daemon/messages.ts). */
const MOST_CHARACTERS = 256;
const EXAMPLE = 'An example: "mon-fri 22:00-06:00, sat-sun in Europe/Berlin".';

/** From one minute of the week, counted from Monday, to before another one, which may be in the next week. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

export interface Schedule {
  /** The schedule with its zone, as others read it. */
  readonly text: string;
  readonly stretches: readonly Stretch[];
  /** The minute of the week that clocks of its zone show; `at` is milliseconds since 1970. */
  readonly minuteAt: (at: number) => number;
}

/** A schedule that cannot be read; its message names the part that is wrong, and shows a right one. */
export class ScheduleError extends Error {
  override readonly name = "ScheduleError";

  constructor(problem: string) {
    super(`${problem} ${EXAMPLE}`);
  }
}

/** Reads a schedule. Throws a {@link ScheduleError}. */
export function parseSchedule(written: string, localZone = zoneOfMachine()): Schedule {
  const words = written.trim().split(/\s+/);
  const isZoned = words.at(-2)?.toLowerCase() === "in";
  const zone = isZoned ? (words.at(-1) ?? "") : localZone;
  const parts = (isZoned ? words.slice(0, -2) : words)
    .join(" ")
    .split(",")
    .map((part) => part.trim().toLowerCase());
  const stretches = parts.flatMap(readPart);
  const text = `${parts.join(", ")} in ${zone}`;
  if (text.length > MOST_CHARACTERS) throw new ScheduleError(`A schedule has at most ${MOST_CHARACTERS} characters.`);
  return { text, stretches, minuteAt: wallClock(zone) };
}

/** Whether a moment (milliseconds since 1970) is within a schedule. */
export function isWithin({ stretches, minuteAt }: Schedule, at: number): boolean {
  const minute = minuteAt(at);
  return stretches.some(({ from, to }) => [minute, minute + WEEK_MINUTES].some((each) => from <= each && each < to));
}

function readPart(part: string): Stretch[] {
  if (part === "") throw new ScheduleError("A part of the schedule is empty.");
  const words = part.split(" ");
  const isTime = (word: string): boolean => /\d/.test(word);
  const firstTime = words.findIndex(isTime);
  const days = firstTime === -1 ? words : words.slice(0, firstTime);
  const times = words.slice(days.length);
  const late = times.find((word) => !isTime(word));
  if (late !== undefined) {
    throw new ScheduleError(`In "${part}" the day "${late}" comes after a time: put a comma before it.`);
  }
  const on = days.length === 0 ? [...DAYS.keys()] : days.flatMap(readDays);
  const at = times.length === 0 ? [{ from: 0, to: DAY_MINUTES }] : times.map(readTime);
  return on.flatMap((day) =>
    at.map(({ from, to }) => ({ from: day * DAY_MINUTES + from, to: day * DAY_MINUTES + to })),
  );
}

/** The days of `mon`, or of `fri-mon`, counted from Monday. */
function readDays(word: string): number[] {
  const [first = -1, last = first, ...more] = word.split("-").map((name) => (DAYS as readonly string[]).indexOf(name));
  if (first === -1 || last === -1 || more.length > 0) {
    throw new ScheduleError(`"${word}" is no day: write ${DAYS.join(", ")}, or several as mon-fri.`);
  }
  const count = ((last - first + DAYS.length) % DAYS.length) + 1;
  return Array.from({ length: count }, (_, i) => (first + i) % DAYS.length);
}

/** The minutes of a day that `22:00-06:00` means; the end may be in the next day. */
function readTime(word: string): Stretch {
  const [from = null, to = null, ...more] = word.split("-").map(readMinute);
  if (from === null || to === null || more.length > 0 || from === DAY_MINUTES) {
    throw new ScheduleError(`"${word}" is no time: write 09:00-17:30, from 00:00 to 24:00.`);
  }
  if (from === to) throw new ScheduleError(`"${word}" ends when it begins: leave the time out for the whole day.`);
  return { from, to: to > from ? to : to + DAY_MINUTES };
}

function readMinute(text: string): number | null {
  const [, hour, minute] = /^(\d{1,2}):([0-5]\d)$/.exec(text) ?? [];
  const minutes = hour === undefined ? DAY_MINUTES + 1 : Number(hour) * 60 + Number(minute);
  return minutes <= DAY_MINUTES ? minutes : null;
}

function wallClock(zone: string): (at: number) => number {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    });
  } catch {
    throw new ScheduleError(`"${zone}" is no time zone: write one of the IANA database, such as Europe/Berlin or UTC.`);
  }
  return (at) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const day = (DAYS as readonly string[]).indexOf(String(parts.get("weekday")).toLowerCase());
    return day * DAY_MINUTES + Number(parts.get("hour")) * 60 + Number(parts.get("minute"));
  };
}

function zoneOfMachine(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone;
}

import { expect, it } from "vitest";
import { Conditions } from "../../../daemon/conditions/conditions.ts";
import { type Readings, SETTLE_MS } from "../../../daemon/conditions/gates.ts";
import { parseSchedule } from "../../../daemon/conditions/schedule.ts";
import { bench, collectingLog } from "./bench.ts";
import { answer, ScriptedEngine } from "./scripted-engine.ts";
import { claimHolds, until } from "./scripted-relay.ts";

const PACE = { checkMs: 60_000, overdueMs: 60_000, lookMs: 5 };
const AT_NIGHT = parseSchedule("22:00-06:00", "UTC");
const EVENING = Date.parse("2026-11-23T21:59:59Z");

it("withdraws its models when a gate closes, lets the running job end, and offers the same again", async () => {
  let now = Date.now();
  let readings: Readings = { onAcPower: true, gpu: null };
  const end = Promise.withResolvers<void>();
  const rules = { schedule: null, onAcOnly: true, maxGpuCelsius: null };
  const { relay, peer, engine, lines } = await bench({
    engine: new ScriptedEngine(async function* () {
      yield { type: "text", choice: 0, text: "Hel", tokens: 1 };
      await end.promise;
      yield { type: "text", choice: 0, text: "lo", tokens: 1 };
      yield { type: "end", finishReasons: ["stop"], usage: { prompt: 7, completion: 2 } };
    }),
    now: () => now,
    pace: PACE,
    gates: { rules, read: () => Promise.resolve(readings) },
  });
  const running = relay.job(peer);
  await relay.expect(peer, "accept");
  readings = { onAcPower: false, gpu: null };
  const withdrawn = await relay.expect(peer, "offer");
  expect(withdrawn).toMatchObject({ models: [], on_ac_power: false, schedule: null, withdrawn_by: ["ac_power"] });
  // A job that was on its way already finds another daemon.
  relay.job(peer);
  expect(await relay.expect(peer, "decline")).toMatchObject({ reason: "withdrawn" });
  end.resolve();
  const done = await relay.expect(peer, "done");
  expect(claimHolds(done, running, peer.daemon, peer.frames)).toBe(true);

  readings = { onAcPower: true, gpu: null };
  expect(await relay.expect(peer, "offer")).toMatchObject({ models: [], on_ac_power: true });
  now += SETTLE_MS;
  const again = await relay.expect(peer, "offer");
  expect(again.models.map(({ id }) => id)).toEqual(["scripted"]);
  expect(again.withdrawn_by).toBeUndefined();
  engine.script = answer("Hi");
  relay.job(peer);
  await relay.expect(peer, "accept");
  const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
  expect(events.filter((event) => ["withdrawn", "offered_again"].includes(event))).toEqual([
    "withdrawn",
    "offered_again",
  ]);
});

it("says in its first offer what holds at the start, and follows its schedule without a pause", async () => {
  let now = EVENING;
  const rules = { schedule: AT_NIGHT, onAcOnly: false, maxGpuCelsius: null };
  const { log } = collectingLog();
  const conditions = new Conditions({ rules, log, now: () => now, read: () => Promise.resolve(GPU) });
  await conditions.look();
  const schedule = "22:00-06:00 in UTC";
  expect([conditions.isOpen, conditions.offered]).toEqual([
    false,
    { schedule, on_ac_power: true, withdrawn_by: ["schedule"] },
  ]);
  now += 1_000;
  await conditions.look();
  expect([conditions.isOpen, conditions.offered]).toEqual([true, { schedule, on_ac_power: true }]);
  expect(conditions.thermal).toBe("throttled");
});

const GPU: Readings = { onAcPower: true, gpu: { celsius: 90, throttled: true } };

it("says once what the machine does not tell", async () => {
  const rules = { schedule: null, onAcOnly: true, maxGpuCelsius: 80 };
  const { log, lines } = collectingLog();
  const read = () => Promise.resolve({ onAcPower: null, gpu: null });
  const conditions = new Conditions({ rules, log, now: Date.now, read });
  await conditions.look();
  await conditions.look();
  expect(conditions.isOpen).toBe(true);
  const events = lines.map((line) => (JSON.parse(line) as { event: string }).event);
  expect(events).toEqual(["power_unknown", "gpu_temperature_unknown"]);
});

it("does not begin a look while the one before still waits for a program", async () => {
  const slow = Promise.withResolvers<Readings>();
  let reads = 0;
  const rules = { schedule: null, onAcOnly: true, maxGpuCelsius: null };
  const read = () => {
    reads += 1;
    return slow.promise;
  };
  const conditions = new Conditions({ rules, log: collectingLog().log, now: Date.now, read });
  const first = conditions.look();
  await conditions.look();
  expect(reads).toBe(1);
  slow.resolve({ onAcPower: false, gpu: null });
  await first;
  expect(conditions.isOpen).toBe(false);
});

it("tells how hot it is with its load", async () => {
  const { relay, peer } = await bench({ pace: PACE, gates: { read: () => Promise.resolve(GPU) } });
  const status = await relay.expect(peer, "status");
  expect(status).toEqual({ type: "status", load: 0, thermal: "throttled", queue: 0 });
});

it("writes a message of the network to its log once, however often it comes", async () => {
  const { relay, peer, lines } = await bench();
  const shown = (): string[] =>
    lines
      .map((line) => JSON.parse(line) as { event: string; level: string; text: string })
      .filter(({ event }) => event === "message_from_network")
      .map(({ level, text }) => `${level} ${text}`);
  const message = { type: "message", id: "deploy-1", level: "warning", text: "A deploy at noon." } as const;
  relay.send(peer, message);
  relay.send(peer, message);
  relay.send(peer, { type: "message", level: "info", text: "Hello." });
  await until(() => shown().length >= 2);
  peer.socket.terminate();
  const again = await relay.admit(1, [{ id: "deploy-1", level: "warning", text: "A deploy at noon." }]);
  relay.send(again, { type: "message", level: "info", text: "Hello." });
  await until(() => shown().length >= 3);
  expect(shown()).toEqual(["warning A deploy at noon.", "info Hello.", "info Hello."]);
});

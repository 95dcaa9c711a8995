/** A daemon that fails a check: no jobs, but probes, until it has passed three of them in three hours (economics.md §9). */

import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it, vi } from "vitest";
import { LIMITS } from "../../../core/limits.ts";
import { hashText } from "../../../core/receipt/canonical.ts";
import { HOUR_MS } from "../../../core/routing/quarantine.ts";
import { putProbe } from "../../../db/probes.ts";
import type { ScriptedJob } from "../../support/scripted-daemon.ts";
import { addDaemon, balance, call, chat, openMarket, receiptsOf, supply, until, withKey } from "../job/network.ts";

const pool = () => env.SCHEDULER.getByName("local/test-model");

/** A daemon that serves, and lies of what it has sent as long as it is told to. */
function liar() {
  const conduct = { lies: true, says: "Hello" };
  const onJob = (job: ScriptedJob): void => {
    job.accept();
    job.text(conduct.says);
    job.done({}, conduct.lies ? { digest: { ...job.claim().digest, response: "00".repeat(32) } } : {});
  };
  return { conduct, onJob };
}

async function standing(daemon: { key: { id: string } }) {
  const standing = await pool().daemonStanding(daemon.key.id as never);
  if (standing === null) throw new Error("the pool does not know it");
  return standing;
}

/** Moves the clock to the next probe, and lets it run. */
async function nextProbe(daemon: { key: { id: string } }): Promise<number> {
  const probeAt = (await standing(daemon)).quarantine?.probeAt ?? Number.NaN;
  vi.setSystemTime(probeAt);
  expect(await runDurableObjectAlarm(pool())).toBe(true);
  return Math.floor(probeAt / HOUR_MS);
}

it("gets no job until it has passed three probes in three hours, whatever becomes of its pool meanwhile", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  const { conduct, onJob } = liar();
  const daemon = await addDaemon(provider, { number: 51, onJob });
  expect((await chat(consumer.apiKey)).status).toBe(502);
  await until(async () => (await supply("test-model")).daemons === 0, "the quarantine");
  const before = await standing(daemon);
  expect(before).toMatchObject({ reliability: 2 / 14, quarantine: { why: "failed_verification", passed: 0, of: 3 } });

  const path = `/api/v1/daemons/${daemon.key.id}`;
  const shown = await (await call(path, withKey(provider.apiKey))).json<{ connection: { models: object[] } }>();
  expect(shown.connection.models).toMatchObject([
    {
      id: "test-model",
      standing: {
        score: 0.143,
        verified: 0,
        graduation: { verified: 0, of: 50 },
        tokens_per_second: null,
        quarantine: { why: "failed_verification", passed: 0, of: 3 },
      },
    },
  ]);

  const refused = chat(consumer.apiKey);
  await until(async () => (await supply("test-model")).waiting === 1, "a waiting job");
  vi.setSystemTime(Date.now() + LIMITS.emptyPoolMs);
  await pool().report("local/0", []);
  const answer = await refused;
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ error: { code: "no_provider" } });
  expect(daemon.jobs).toHaveLength(1);

  const probe = { model: "test-model", created_at: 1, answers: ["Bonjour", "Hell"] };
  const request = { model: "test-model", messages: [{ role: "user", content: "Greet me." }], max_completion_tokens: 4 };
  await putProbe(env.DB, { ...probe, id: hashText("probe"), request });
  const hours: number[] = [];
  // The first probe fails its checks as the job did, and one with a wrong answer is none that was passed.
  hours.push(await nextProbe(daemon));
  conduct.lies = false;
  hours.push(await nextProbe(daemon));
  conduct.says = "Goodbye";
  hours.push(await nextProbe(daemon));
  expect((await standing(daemon)).quarantine).toMatchObject({ passed: 0 });
  conduct.says = "Hello";
  for (const passed of [1, 2]) {
    hours.push(await nextProbe(daemon));
    expect((await standing(daemon)).quarantine).toMatchObject({ passed });
    await evictDurableObject(pool());
    expect((await standing(daemon)).quarantine).toMatchObject({ passed });
    expect(await supply("test-model")).toMatchObject({ daemons: 0, free: 0 });
  }
  hours.push(await nextProbe(daemon));
  expect(hours).toEqual(hours.map((_, index) => (hours[0] ?? 0) + index));
  expect(await standing(daemon)).toMatchObject({ reliability: 3 / 9, quarantine: null });

  // To the daemon a probe is a job like any other, of which nothing comes in the end.
  const [first, ...probes] = daemon.jobs.map(({ job }) => job);
  expect(probes).toHaveLength(6);
  for (const each of probes) {
    expect(Object.keys(each)).toEqual(Object.keys(first ?? {}));
    expect(each).toMatchObject({ lane: "public", model: "test-model", request });
    const end = await daemon.next("refused", ({ job }) => job === each.job);
    expect(end.reason).toBe("voided");
  }
  expect((await chat(consumer.apiKey)).status).toBe(200);
  expect((await receiptsOf(consumer)).map(({ outcome }) => outcome)).toEqual(["unverified", "completed"]);
  expect(await balance(consumer.apiKey)).toMatchObject({ held: 0 });
  expect(await receiptsOf(provider)).toEqual([]);
});

it("brings late claims of a probe to nobody, and counts no slot for one", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  const { conduct, onJob } = liar();
  const daemon = await addDaemon(provider, { number: 52, onJob, offer: { slots: 1 } });
  await chat(consumer.apiKey);
  await until(async () => (await supply("test-model")).daemons === 0, "the quarantine");
  conduct.lies = false;
  await nextProbe(daemon);
  const probe = daemon.jobs.at(-1);
  const { stream: _, ...claim } = probe?.claim() ?? {};
  daemon.received.length = 0;
  daemon.send(claim);
  expect((await daemon.next("refused")).reason).toBe("voided");
  expect((await pool().job(probe?.job.job as never)).type).toBe("unknown");
});

it("writes scores when its last job has ended, but no row for every job, and goes on with them when it starts anew", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const { consumer, provider } = await openMarket();
  const { conduct, onJob } = liar();
  conduct.lies = false;
  const daemon = await addDaemon(provider, { number: 53, onJob });
  const serve = async (times: number) => {
    const { verified } = await standing(daemon);
    for (let job = 0; job < times; job++) expect((await chat(consumer.apiKey)).status).toBe(200);
    await until(async () => (await standing(daemon)).verified === verified + times, "the reports");
  };
  await serve(1);
  await serve(2);
  await evictDurableObject(pool());
  expect((await standing(daemon)).verified).toBe(1);
  await serve(1);
  await serve(3);
  vi.setSystemTime(Date.now() + LIMITS.scoresIdleMs);
  await serve(1);
  await evictDurableObject(pool());
  expect(await standing(daemon)).toMatchObject({ verified: 6, graduation: { verified: 6, of: 50 }, quarantine: null });
});

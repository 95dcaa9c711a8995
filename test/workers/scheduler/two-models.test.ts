import { expect, it } from "vitest";
import { offerOf, type ScriptedJob } from "../../support/scripted-daemon.ts";
import { addDaemon, addModel, balance, chat, openMarket, receiptsOf, supply, until } from "../job/network.ts";

const SLOTS = 2;
const JOBS = 6;

it("serves two models from one daemon's slots and never has more jobs than slots", async () => {
  const { consumer, provider } = await openMarket();
  await addModel({ id: "other-model" });
  let running = 0;
  let most = 0;
  const onJob = async (job: ScriptedJob): Promise<void> => {
    job.accept();
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 60));
    running -= 1;
    job.text("word");
    job.done();
  };
  const daemon = await addDaemon(provider, { offer: { slots: SLOTS }, onJob });
  const models = ["test-model", "other-model"].flatMap((model) => offerOf(model, { slots: SLOTS }).models);
  daemon.send({ ...offerOf("test-model"), models, slots: SLOTS });
  await until(async () => (await supply("other-model")).daemons === 1, "the other model");
  const answers = models.flatMap(({ id }) =>
    Array.from({ length: JOBS }, () => chat(consumer.apiKey, { model: id, max_tokens: 8 })),
  );
  for (const response of await Promise.all(answers)) expect(response.status).toBe(200);
  expect(most).toBe(SLOTS);
  const receipts = await receiptsOf(consumer);
  expect(receipts.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 2 * JOBS }, () => "completed"));
  await until(async () => (await supply("test-model")).free === SLOTS && (await supply("other-model")).free === SLOTS);
  expect(await balance(consumer.apiKey)).toMatchObject({ held: 0 });
}, 30_000);

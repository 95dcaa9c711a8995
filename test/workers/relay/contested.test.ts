/** One attempt at a job that another one may run beside: what it holds back, and what it does with the answer. */

import { expect, it } from "vitest";
import { openStream, refusalOf } from "./stream-support.ts";

const cancels = (sent: readonly { type: string }[]) => sent.filter(({ type }) => type === "cancel").length;

it("asks nobody while it runs alone, and is not contested once it has begun", async () => {
  const stage = openStream();
  stage.text("Hello");
  await stage.stream.response;
  expect([stage.stream.contest(), stage.asked]).toEqual([false, []]);
});

it("shows nothing and posts nothing before it has won, and then everything in its order", async () => {
  const stage = openStream();
  stage.stream.accept();
  expect(stage.stream.contest()).toBe(true);
  stage.text("One");
  stage.text(" two");
  stage.done();
  await stage.pass(100);
  expect(stage.asked).toEqual([1]);
  expect(stage.posted).toEqual([]);
  expect(stage.stream.contest()).toBe(false);
  await stage.decide(true);
  const text = await (await stage.stream.response).text();
  expect(text.match(/"content":"[^"]*"/g)).toEqual(['"content":"One"', '"content":" two"']);
  expect(stage.posted).toMatchObject([{ outcome: "completed", usage: { completion: 2 } }]);
  expect(stage.asked).toEqual([1]);
});

it("stops its daemon and leaves the hold alone when it has lost", async () => {
  const stage = openStream({ race: 0 });
  stage.text("Hello");
  stage.done();
  await stage.decide(false);
  expect(await refusalOf(stage.stream)).toMatchObject({ move: true, resolved: false });
  expect(stage.asked).toEqual([0]);
  expect([cancels(stage.sent), stage.posted, stage.voided]).toEqual([1, [], []]);
  expect(stage.reports.at(-1)).toMatchObject({ type: "ended", result: "lost", tokens: null });
  stage.text("more");
  stage.stream.cancel();
  await stage.pass(700_000);
  expect([stage.posted, stage.voided]).toEqual([[], []]);
});

it("loses without having asked when it is told so, and cannot lose what it has won", async () => {
  const told = openStream({ race: 0 });
  told.stream.accept();
  told.stream.lose();
  expect([told.asked, cancels(told.sent)]).toEqual([[], 1]);
  const winner = openStream({ race: 0 });
  winner.text("Hello");
  await winner.decide(true);
  winner.stream.lose();
  winner.done();
  await winner.pass(1);
  expect(winner.posted).toMatchObject([{ outcome: "completed" }]);
});

it.each([
  ["its consumer leaves", (stage) => stage.stream.cancel(), 0],
  ["its time is over", () => {}, 600_000],
  ["its daemon claims an empty answer", (stage) => stage.done(), 0],
] satisfies [string, (stage: ReturnType<typeof openStream>) => void, number][])(
  "ends no hold when %s, unless it has won",
  async (_, end, ms) => {
    for (const hasWon of [false, true]) {
      const stage = openStream({ race: 0 });
      stage.stream.accept();
      end(stage);
      await stage.pass(ms);
      expect([stage.asked, stage.posted, stage.voided]).toEqual([[0], [], []]);
      await stage.decide(hasWon);
      expect(stage.posted.length + stage.voided.length).toBe(hasWon ? 1 : 0);
    }
  },
);

it("gives the job back without asking when its daemon declines or fails", async () => {
  for (const end of ["decline", "fail"] as const) {
    const stage = openStream({ race: 0 });
    stage.stream.accept();
    if (end === "decline") stage.stream.decline();
    else stage.stream.fail("engine_error");
    expect(await refusalOf(stage.stream)).toMatchObject({ move: true, resolved: false });
    expect(stage.asked).toEqual([]);
  }
});

it("ends with an error after its first token where its daemon fails before it has won", async () => {
  const stage = openStream({ race: 0 });
  stage.text("Hello");
  stage.stream.fail("engine_error");
  await stage.decide(true);
  expect(stage.posted).toMatchObject([{ outcome: "failed" }]);
});

import { DurableObject } from "cloudflare:workers";
import { Draws, drawSecret } from "../../core/auction/draw.ts";
import { PublicMarket } from "../../core/auction/market.ts";
import { type Refusal, refuse } from "../../core/errors.ts";
import type { AccountId, DaemonId, JobId } from "../../core/ids.ts";
import type { Parameters } from "../../core/parameters.ts";
import { Standings } from "../../core/routing/standings.ts";
import { roomOf } from "../../core/scheduler/daemon.ts";
import type { Why } from "../../core/scheduler/passed-over.ts";
import { type Lease, Pool } from "../../core/scheduler/pool.ts";
import type { WaitingJob } from "../../core/scheduler/waiting-job.ts";
import type { VoidResult } from "../../protocol/internal/account.ts";
import type { AcquireRequest, AcquireResponse, Slot } from "../../protocol/internal/job.ts";
import { modelOfScheduler } from "../../protocol/internal/names.ts";
import type {
  DaemonStanding,
  JobReport,
  PoolJob,
  PoolMarket,
  Registration,
  SchedulerRpc,
  Supply,
} from "../../protocol/internal/pool.ts";
import { emitError } from "../shared/events.ts";
import { holderOf } from "../shared/holder.ts";
import { migrate } from "../shared/migrations.ts";
import { relayStub } from "../shared/places.ts";
import { retrying } from "../shared/retry.ts";
import { edgeKeyOf, parametersOf } from "../shared/settings.ts";
import { grantOf, refusedWith, slotOf, waitingJob } from "./acquiring.ts";
import { Probing } from "./probing.ts";
import { Races } from "./races.ts";
import { Registry } from "./registry.ts";
import { SCHEDULER_MIGRATIONS } from "./schema.ts";
import { ScoreBook, shownStanding } from "./score-book.ts";

/** How long a start waits for relays to say what they run. */
const RECOVERY_MS = 2_000;
/** How often a pool that jobs wait in keeps its counters: one row in this time. */
const FAIRNESS_MS = 10_000;

interface Waiter {
  readonly request: AcquireRequest;
  readonly answer: (response: AcquireResponse) => void;
}

/**
 * One pool: the daemons of a region that serve one model, and the jobs that wait for them. It never sees a token, and
 * writes no row for a job: its queue lives in the gateways' open requests, its leases in the relays that run them, and a
 * new start asks both again.
 */
export class Scheduler extends DurableObject<Env> implements SchedulerRpc {
  readonly #registry: Registry;
  readonly #parameters: Parameters;
  readonly #scores: ScoreBook;
  readonly #standings: Standings;
  readonly #races: Races;
  readonly #pool: Pool;
  readonly #probing: Probing;
  readonly #waiters = new Map<JobId, Waiter>();
  /** Leases whose relay is being asked. */
  readonly #lapsing = new Set<Lease>();
  #recovered: Promise<void> | null = null;
  /** Jobs that have ended, by their fences, while relays were asked what they run; null while none is asked. */
  #endedMeanwhile: Set<number> | null = null;
  #timer: { due: number; handle: ReturnType<typeof setTimeout> } | null = null;

  /** When the fairness counters are written next, at the earliest. */
  #keepAt = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    migrate(ctx.storage, SCHEDULER_MIGRATIONS);
    this.#registry = new Registry(ctx.storage.sql);
    this.#parameters = parametersOf(env);
    this.#scores = new ScoreBook(ctx.storage.sql, Date.now());
    this.#standings = new Standings(this.#parameters, this.#scores.all(), Math.random);
    const root = edgeKeyOf(env);
    const market = new PublicMarket(this.#parameters, (day) => new Draws(drawSecret(root, day), day));
    this.#pool = new Pool(this.#parameters, this.#standings, Math.random, market);
    this.#probing = new Probing({
      ctx,
      pool: this.#pool,
      standings: this.#standings,
      run: (relay, order) => relayStub(env, relay).probe({ ...order, model: this.#model() }),
      nextFence: () => this.#registry.nextFence(),
    });
    this.#races = new Races(ctx.storage.sql);
    const counters = this.#registry.fairness();
    if (counters !== null) this.#pool.restoreFairness(counters);
    for (const registration of this.#registry.all()) this.#pool.register(registration, Date.now());
    this.#probing.arm();
  }

  /** `acquire`: waits for the job's turn and answers with a grant or a refusal. Ends when the caller goes away. */
  override async fetch(incoming: Request): Promise<Response> {
    const request = await incoming.json<AcquireRequest>();
    await this.#recover();
    this.#registry.raise(request.after);
    if (request.beside !== null) return Response.json(this.#grantBeside(request, request.beside));
    if (incoming.signal.aborted) {
      this.#abandon(request);
      return Response.json(refusedWith(refuse("cancelled")));
    }
    const response = await new Promise<AcquireResponse>((answer) => {
      this.#answer(request.job, refusedWith(refuse("id_conflict")));
      const waiter: Waiter = { request, answer };
      this.#waiters.set(request.job, waiter);
      const gone = (): void => {
        // A gateway that asked again has taken the job over from this request.
        if (this.#waiters.get(request.job) === waiter) this.#leave(request.job);
      };
      incoming.signal.addEventListener("abort", gone, { once: true });
      const job = waitingJob(request, Date.now());
      const refusal = this.#pool.enqueue(job);
      if (refusal !== null) this.#refuse(job, refusal, job.enqueuedAt);
      this.#pump();
    });
    return Response.json(response);
  }

  /** A second daemon for a job that another one has shown nothing of. Nobody waits for it, so nobody's hold depends on it. */
  #grantBeside(request: AcquireRequest, race: number): AcquireResponse {
    const now = Date.now();
    // How long the job waited is known since the first one has it.
    const { slotSince: _, ...job } = waitingJob(request, now);
    const dispatch = this.#waiters.has(request.job)
      ? null
      : this.#pool.beside(job, race, now, () => this.#registry.nextFence());
    this.#pump();
    return dispatch === null ? refusedWith(refuse("no_provider")) : grantOf(dispatch, this.ctx.id.name ?? "", now);
  }

  /** The caller of a waiting job went away: the job leaves the queue, and its hold is released. */
  #leave(job: JobId): void {
    const waiter = this.#waiters.get(job);
    if (waiter === undefined) return;
    this.#pool.withdraw(job, Date.now());
    this.#answer(job, refusedWith(refuse("cancelled")));
    this.#abandon(waiter.request);
  }

  /** Nobody is left to end this job's hold, so the scheduler does (economics.md §6). */
  #abandon({ account, job, lane }: AcquireRequest): void {
    // Nothing is held for an own device's job.
    if (lane === null) return;
    const released = this.#void(account, job, "consumer_gone", null);
    this.ctx.waitUntil(released.catch((error: unknown) => emitError("void_failed", error, { job })));
  }

  async #void(account: AccountId, job: JobId, reason: string, fence: number | null): Promise<void> {
    await retrying<VoidResult>(async () => await holderOf(this.env, account, job).void(job, reason, fence));
  }

  #answer(job: JobId, response: AcquireResponse): void {
    const waiter = this.#waiters.get(job);
    this.#waiters.delete(job);
    waiter?.answer(response);
  }

  #refuse(job: WaitingJob, refusal: Refusal, now: number, slot: Slot = {}): void {
    this.#answer(job.job, {
      ...refusedWith(refusal, this.#pool.outlook.retryAfterSeconds(refusal, job, now)),
      ...slot,
    });
  }

  async register(registration: Registration, running: readonly JobId[]): Promise<void> {
    this.#registry.put(registration);
    const now = Date.now();
    if (!this.#pool.daemons.has(registration.daemon)) this.#standings.returned(registration.daemon, now);
    this.#pool.register(registration, now);
    for (const lease of this.#pool.leasesOf(registration.daemon)) {
      if (lease.taken && !running.includes(lease.job)) this.ctx.waitUntil(this.#lapse(lease));
    }
    this.#pump();
  }

  async unregister(daemon: DaemonId, relay: string): Promise<void> {
    this.#registry.remove(daemon, relay);
    this.#pool.unregister(daemon, relay, Date.now());
    this.#pump();
  }

  async report(_relay: string, reports: readonly JobReport[]): Promise<void> {
    const now = Date.now();
    for (const report of reports) {
      if (report.type === "running") this.#pool.running(report, now);
      else if (report.type === "elsewhere") this.#pool.elsewhere(report.daemon, report.jobs);
      else {
        this.#endedMeanwhile?.add(report.fence);
        this.#pool.ended(report.job, report.fence, report.tokens, now, report);
      }
    }
    this.#pump();
  }

  async supply(): Promise<Supply> {
    const daemons = [...this.#pool.daemons.values()].filter(
      (daemon) => !daemon.draining && !daemon.standing.quarantined,
    );
    const { lowest, least } = this.#pool.prices;
    return {
      daemons: daemons.length,
      slots: total(daemons, (daemon) => daemon.slots),
      free: total(daemons, roomOf),
      waiting: this.#pool.waiting,
      tokensPerSecond: total(daemons, (daemon) => daemon.slots * daemon.tokensPerSecond),
      lowestAsk: lowest,
      leastAsk: least,
      features: [...new Set(daemons.flatMap((daemon) => daemon.features))].toSorted(),
    };
  }

  async market(): Promise<PoolMarket> {
    const { daemons, slots, free } = await this.supply();
    const { demand, load: _, ...asks } = this.#pool.prices;
    return { daemons, slots, free, lanes: this.#pool.lanes(Date.now()), asks, demand };
  }

  async job(job: JobId): Promise<PoolJob> {
    const position = this.#pool.position(job);
    if (position !== null) return { type: "queued", position, etaMs: this.#pool.outlook.etaMs(job, Date.now()) };
    const [lease] = this.#pool.leasesAt(job);
    return lease === undefined ? { type: "unknown" } : { type: "running", daemon: lease.daemon, fence: lease.fence };
  }

  async why(daemon: DaemonId): Promise<Why> {
    return this.#pool.passedOver.of(daemon, Date.now());
  }

  async release(job: JobId): Promise<boolean> {
    if (!this.#waiters.has(job)) return false;
    this.#pool.withdraw(job, Date.now());
    this.#answer(job, { type: "released" });
    return true;
  }

  async cancel(job: JobId): Promise<boolean> {
    if (this.#waiters.has(job)) {
      this.#leave(job);
      return true;
    }
    const relays = new Set(this.#pool.leasesAt(job).map((lease) => this.#relayOf(lease)));
    relays.delete(undefined);
    const asked = [...relays].map((relay = "") => relayStub(this.env, relay).cancel(job));
    return (await Promise.all(asked)).includes(true);
  }

  #relayOf({ daemon }: Lease): string | undefined {
    return this.#pool.daemons.get(daemon)?.relay;
  }

  async isCurrent(job: JobId, fence: number): Promise<boolean> {
    await this.#recover();
    if (this.#waiters.has(job)) return false;
    const others = this.#pool.leasesAt(job).filter((lease) => lease.fence !== fence);
    return others.every((lease) => lease.fence < fence && lease.race === null);
  }

  async win(job: JobId, fence: number, race: number): Promise<boolean> {
    const hasWon = this.#races.win(race, fence, Date.now());
    if (hasWon) for (const lease of this.#pool.leasesAt(job)) if (lease.fence !== fence) this.#stopLoser(lease);
    return hasWon;
  }

  /** Tells the relay of a losing attempt. One that is not reached asks before it shows anything, and hears of it then. */
  #stopLoser(lease: Lease): void {
    const relay = this.#relayOf(lease);
    if (relay === undefined) return;
    const told = relayStub(this.env, relay).lose(lease.job, lease.fence);
    this.ctx.waitUntil(told.catch((error: unknown) => emitError("loser_not_told", error, { job: lease.job })));
  }

  async daemonStanding(daemon: DaemonId): Promise<DaemonStanding | null> {
    return shownStanding(this.#standings, daemon, this.#parameters);
  }

  /** A probe of a daemon in quarantine is due. */
  override async alarm(): Promise<void> {
    await this.#recover();
    await this.#probing.runDue(Date.now());
    this.#pump();
  }

  /** Hands out what can be handed out, refuses what has waited too long, and sets the timer for what is due next. */
  #pump(): void {
    const now = Date.now();
    const granted = this.#pool.dispatch(now, () => this.#registry.nextFence());
    for (const dispatch of granted) this.#answer(dispatch.job.job, grantOf(dispatch, this.ctx.id.name ?? "", now));
    for (const { job, refusal } of this.#pool.rejections(now)) this.#refuse(job, refusal, now, slotOf(job));
    for (const lease of this.#pool.lapsed(now)) this.ctx.waitUntil(this.#lapse(lease));
    // Shares matter where somebody waits; a pool that nobody waits in writes nothing.
    if (granted.length > 0 && this.#pool.waiting > 0 && now >= this.#keepAt) {
      this.#keepAt = now + FAIRNESS_MS;
      this.#registry.putFairness(this.#pool.fairness());
    }
    this.#scores.keep(this.#standings, { model: this.#model(), isIdle: this.#pool.isIdle }, now);
    this.#probing.arm();
    this.#arm(now);
  }

  /** One timer for whatever is due next. */
  #arm(now: number): void {
    const next = this.#pool.nextDue(now);
    const due = next === null ? null : Math.max(next, now + 1);
    if (this.#timer !== null && (due === null || due < this.#timer.due)) {
      clearTimeout(this.#timer.handle);
      this.#timer = null;
    }
    if (due === null || this.#timer !== null) return;
    const handle = setTimeout(() => {
      this.#timer = null;
      this.#pump();
    }, due - now);
    this.#timer = { due, handle };
  }

  /**
   * A lease that nobody seems to serve: not taken up in time, past its hold's end, or unknown to its daemon's relay. A
   * report may have been lost, so the relay is asked; a job that it does not run was left by a gateway that died in between
   * or by a relay that was lost, and its hold is released here, before its slot.
   */
  async #lapse(lease: Lease): Promise<void> {
    if (this.#lapsing.has(lease)) return;
    this.#lapsing.add(lease);
    const { job, fence, account } = lease;
    try {
      const relay = this.#relayOf(lease);
      const running = relay !== undefined && (await this.#runs(relay, job, fence));
      // While the relay was asked, the job may have ended or moved on: then its hold is no longer this lease's to release.
      if (!this.#pool.leasesAt(job).includes(lease) || this.#waiters.has(job)) return;
      // A relay ends what it runs before the hold does, but its timers may be late: until it says so the slot is taken.
      if (running) return this.#pool.running(lease, Date.now());
      // Where another attempt runs beside it, the hold is that one's.
      if (this.#pool.leasesAt(job).length === 1) await this.#void(account, job, "lease_lapsed", fence);
      this.#pool.ended(job, fence, null, Date.now());
      this.#pump();
    } catch (error) {
      // A relay or an account that cannot be asked keeps the lease; the timer asks again.
      emitError("lapse_failed", error, { job });
    } finally {
      this.#lapsing.delete(lease);
    }
  }

  async #runs(relay: string, job: JobId, fence: number): Promise<boolean> {
    const { running } = await relayStub(this.env, relay).roster(this.#model());
    return running.some((entry) => entry.job === job && entry.fence === fence);
  }

  #model(): string {
    return modelOfScheduler(this.ctx.id.name ?? "");
  }

  /** Once a start: relays say who is connected and what runs. A relay that does not answer keeps its rows. */
  #recover(): Promise<void> {
    this.#recovered ??= this.#askRelays();
    return this.#recovered;
  }

  async #askRelays(): Promise<void> {
    const before = new Map(this.#pool.daemons);
    const ended = (this.#endedMeanwhile = new Set<number>());
    // A daemon that has come, gone or offered again since its relay was asked has said so itself, and later.
    const isAsBefore = (daemon: DaemonId): boolean => this.#pool.daemons.get(daemon) === before.get(daemon);
    const relays = new Set([...before.values()].map((daemon) => daemon.relay));
    const asked = [...relays].map(async (relay) => {
      const roster = await relayStub(this.env, relay).roster(this.#model());
      const connected = new Set(roster.registrations.map((registration) => registration.daemon));
      for (const { daemon, relay: own } of before.values()) {
        if (own !== relay || connected.has(daemon) || !isAsBefore(daemon)) continue;
        this.#registry.remove(daemon, relay);
        this.#pool.unregister(daemon, relay, Date.now());
      }
      // What the relay says is newer than the rows: an offer may have changed while nobody was here to hear it.
      for (const registration of roster.registrations) {
        if (isAsBefore(registration.daemon)) this.#pool.register(registration, Date.now());
      }
      for (const job of roster.running) if (!ended.has(job.fence)) this.#pool.running(job, Date.now());
    });
    void Promise.allSettled(asked).then(() => (this.#endedMeanwhile = null));
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, RECOVERY_MS);
    await Promise.race([Promise.allSettled(asked), late.promise]);
    // A timer that is left behind would keep the object awake, and billed.
    clearTimeout(timer);
  }
}

function total<T>(items: readonly T[], amount: (item: T) => number): number {
  return items.reduce((sum, item) => sum + amount(item), 0);
}

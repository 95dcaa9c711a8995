/**
 * One pool of daemons and the jobs that wait for it: who is next, and who serves it (economics.md §§3, 8, 9). Pure: time,
 * fences and randomness are arguments, nothing is awaited, so that the object, tests and a simulator run the same decisions.
 */

import type { PublicMarket } from "../auction/market.ts";
import type { Refusal } from "../errors.ts";
import type { AccountId, DaemonId, JobId } from "../ids.ts";
import { LANE_TABLE, type Lane } from "../lanes.ts";
import { LIMITS } from "../limits.ts";
import type { Parameters } from "../parameters.ts";
import type { Tokens } from "../pricing.ts";
import type { Random } from "../random.ts";
import type { ProbeResult } from "../routing/quarantine.ts";
import { isLike } from "../routing/speed.ts";
import type { Standings } from "../routing/standings.ts";
import type { BasisPoints } from "../units.ts";
import { unmetAtOnce } from "./admission.ts";
import { couldServe } from "./choose.ts";
import type { Daemon, DaemonOffer } from "./daemon.ts";
import type { Dispatch, Rejection, RunningLease, Shown } from "./decisions.ts";
import { Departures } from "./departures.ts";
import { FairQueue, type Flow } from "./fair-queue.ts";
import { adoptedLease, type Lease, Leases } from "./leases.ts";
import { type Match, Matching } from "./matching.ts";
import { haveSame, needsOf, type Vocabulary } from "./needs.ts";
import { Outlook } from "./outlook.ts";
import { OwnQueue } from "./own-queue.ts";
import { PassedOver } from "./passed-over.ts";
import { isAuctioned, PublicLane } from "./public-lane.ts";
import { doubtAll, dueRefusals } from "./refusals.ts";
import { ReservedSlots } from "./reserved-slots.ts";
import { type LaneFigures, Served } from "./served.ts";
import type { Fairness } from "./snapshot.ts";
import { Supply } from "./supply.ts";
import { WaitTimes } from "./wait-times.ts";
import type { OwnJob, QueuedJob, WaitingJob } from "./waiting-job.ts";

export type { Dispatch, Rejection, RunningLease, Shown } from "./decisions.ts";
export type { Lease } from "./leases.ts";

export class Pool {
  /** What waiting jobs can expect. */
  readonly outlook: Outlook;
  /** Why daemons are given no jobs. */
  readonly passedOver: PassedOver;
  readonly #parameters: Parameters;
  readonly #standings: Standings;
  readonly #queue: FairQueue<QueuedJob>;
  readonly #public: PublicLane;
  readonly #matching: Matching;
  readonly #served = new Served();
  readonly #own = new OwnQueue();
  readonly #supply = new Supply();
  readonly #leases = new Leases();
  readonly #times = new WaitTimes((job) => (this.#own.get(job.job) ?? this.#queue.get(job.job)) === job);
  readonly #reserved = new ReservedSlots();
  readonly #departures = new Departures();
  #vocabulary: Vocabulary = { contexts: [], provides: (account) => this.#supply.provides(account) };
  /** The first fence of this life of the pool: fences only grow, so every lower one was granted in an earlier life. */
  #firstFence = Number.POSITIVE_INFINITY;
  /** Whether daemons have come, gone or changed since it was looked whether every job has one that could serve it. */
  #supplyChanged = false;

  constructor(parameters: Parameters, standings: Standings, random: Random, market: PublicMarket) {
    this.#parameters = parameters;
    this.#standings = standings;
    this.passedOver = new PassedOver(parameters.allotmentPayeeShareBasisPoints as BasisPoints);
    this.#queue = new FairQueue(parameters, {
      needsOf: (job) => needsOf(job, this.#vocabulary),
      unitsOf: (job) => this.#units(job.estimate),
    });
    this.outlook = new Outlook(this.#queue, this.#supply);
    this.#public = new PublicLane(market, this.#queue, this.#leases);
    this.#matching = new Matching(parameters, random, this.#supply, this.#public, this.passedOver);
  }

  get waiting(): number {
    return this.#queue.size + this.#own.size;
  }

  /** Whether no job waits here, and none runs. */
  get isIdle(): boolean {
    return this.waiting === 0 && this.#supply.running === 0;
  }

  get daemons(): ReadonlyMap<DaemonId, Daemon> {
    return this.#supply.daemons;
  }

  /** What the pool has and what it does: slots, jobs that run, and jobs that wait in a lane. */
  load(lane: Lane): { readonly slots: number; readonly running: number; readonly waiting: number } {
    const { slots, running } = this.#supply;
    return { slots, running, waiting: this.#queue.waitingIn(lane) };
  }

  /** Adds a daemon, or takes over what changed in its offer. The jobs that it runs keep their slots. */
  register(offer: DaemonOffer, now: number): void {
    const running = new Set(this.leasesOf(offer.daemon).map((lease) => lease.job));
    this.#standings.meet(offer.daemon, offer.provider);
    const floor = this.#standings.floor(offer.daemon, offer);
    const standing = this.#standings.standing(offer.daemon, offer);
    const provided = this.#supply.provides(offer.provider);
    this.#public.offered(this.#supply.put({ ...offer, floor }, standing, running, now));
    this.#departures.came(offer.daemon, now);
    this.#changed(provided ? null : offer.provider);
  }

  /**
   * Removes a daemon, if it is still the named relay's. Its leases stay until its relay says how they ended: a daemon that
   * withdraws a model may still be serving it.
   */
  unregister(daemon: DaemonId, relay: string, now: number): void {
    const gone = this.daemons.get(daemon);
    if (gone?.relay !== relay) return;
    this.#supply.remove(daemon);
    this.#departures.left(gone, now);
    this.#public.left(daemon, now);
    this.#changed(this.#supply.provides(gone.provider) ? null : gone.provider);
  }

  /**
   * Daemons have come, gone or changed: what was passed over may be served now, and jobs may differ in other ways. `account`
   * is one that provides now and did not before, or the other way round.
   */
  #changed(account: AccountId | null): void {
    this.#supplyChanged = true;
    this.#queue.unblock(() => true);
    const contexts = this.#supply.contexts();
    const isSame = haveSame(contexts, this.#vocabulary.contexts);
    if (!isSame) this.#vocabulary = { ...this.#vocabulary, contexts };
    if (!isSame || (account !== null && this.#queue.hasJobsOf(account))) this.#queue.regroup();
  }

  leasesOf(daemon: DaemonId): Lease[] {
    return this.#leases.of(daemon);
  }

  /** Puts a job in the queue, or refuses it at once: when nobody could serve it, and when there is no room for it. */
  enqueue(asked: WaitingJob): Refusal | null {
    this.withdraw(asked.job, asked.enqueuedAt);
    const unmet = unmetAtOnce(this.daemons, this.#departures, asked);
    if (asked.flow === null) return unmet ?? this.#putOwn(asked);
    const job = { ...asked, reserved: asked.reserved && this.#reserved.hasFree(asked.flow) };
    const useless = unmet ?? (isAuctioned(job) ? this.#public.refusal(job) : null);
    if (useless !== null) this.passedOver.sample(this.daemons.values(), job, null, job.enqueuedAt);
    const refusal = useless ?? this.outlook.crowd(job);
    if (refusal === null) this.#put(job);
    return refusal;
  }

  /** Takes a waiting job out. False when it did not wait. */
  withdraw(job: JobId, now: number): boolean {
    const withdrawn = this.#take(job);
    if (withdrawn?.reserved === true && withdrawn.flow !== null) this.#freeReserved(withdrawn.flow, now);
    return withdrawn !== undefined;
  }

  #putOwn(job: OwnJob): Refusal | null {
    const refusal = this.#own.add(job);
    if (refusal === null) this.#times.add(job);
    return refusal;
  }

  #put(job: QueuedJob): void {
    if (job.reserved) this.#reserved.take(job.flow);
    this.#queue.add(job);
    this.#times.add(job);
  }

  #take(id: JobId): WaitingJob | undefined {
    return this.#own.remove(id) ?? this.#queue.remove(id);
  }

  /** A reserved slot is free: the account's next job has it (economics.md §8). */
  #freeReserved(flow: Flow, now: number): void {
    this.#reserved.free(flow);
    const [next] = this.#queue.jobsOf(flow);
    if (next === undefined || !this.#reserved.hasFree(next.flow)) return;
    this.#take(next.job);
    this.#put({ ...next, reserved: true, slotSince: now });
  }

  /** Gives free slots to waiting jobs in fair order until one of both runs out. A job that nobody free can serve is passed over. */
  dispatch(now: number, nextFence: () => number): Dispatch[] {
    const dispatches = this.#own.size === 0 ? [] : this.#dispatchOwn(now, nextFence);
    this.#public.unblockCheaper();
    while (this.#supply.free.length > 0) {
      const next = this.#queue.next((job) => this.#matching.next(job, now));
      if (next === null) break;
      dispatches.push(this.#grant(next.job, next.match, now, nextFence()));
    }
    this.outlook.settled(now);
    return dispatches;
  }

  /** Own daemons serve their account before anybody else. What they run for it is charged to no flow. */
  #dispatchOwn(now: number, nextFence: () => number): Dispatch[] {
    const dispatches: Dispatch[] = [];
    for (const account of new Set(this.#supply.free.map(({ provider }) => provider))) {
      for (const job of this.#own.of(account)) {
        const match = this.#matching.own(job);
        if (match !== null) dispatches.push(this.#grant(job, match, now, nextFence()));
      }
    }
    return dispatches;
  }

  /**
   * Grants a job to a second daemon beside the one that has it, in a race that began with a fence (economics.md §9). It takes
   * a slot that nobody who waits can use, or none: null where no other daemon is free, and where the job has not one lease.
   */
  beside(job: WaitingJob, race: number, now: number, nextFence: () => number): Dispatch | null {
    const [first, second] = this.#leases.at(job.job);
    if (first === undefined || second !== undefined) return null;
    const match = this.#matching.beside(job, now);
    if (match === null) return null;
    first.race = race;
    const { reserved } = first;
    if (reserved && job.flow !== null) this.#reserved.take(job.flow);
    return this.#lease({ ...job, reserved }, match, now, nextFence(), race);
  }

  #grant(job: WaitingJob, match: Match, now: number, fence: number): Dispatch {
    this.#take(job.job);
    // An own device's job, and a second daemon beside the first, leave the queue as long as it is.
    if (job.flow !== null) this.outlook.dispatched(this.#units(job.estimate), now);
    for (const lease of this.#leases.at(job.job)) this.#endLease(lease, null, now);
    return this.#lease(job, match, now, fence, null);
  }

  #lease(job: WaitingJob, { daemon, auction }: Match, now: number, fence: number, race: number | null): Dispatch {
    this.#firstFence = Math.min(this.#firstFence, fence);
    const units = this.#units(job.estimate);
    if (job.flow !== null && !job.reserved) this.#queue.charge(job.flow, units);
    const lease: Lease = {
      job: job.job,
      fence,
      daemon: daemon.daemon,
      account: job.account,
      lane: job.flow?.lane ?? null,
      flow: job.flow,
      units,
      reserved: job.reserved,
      leaseUntil: now + LIMITS.leaseMs,
      expiresAt: job.holdExpiresAt,
      race,
      taken: false,
    };
    this.#leases.add(lease);
    this.#supply.took(daemon, job.job);
    this.#public.moved(daemon);
    // Where the price is fixed, a daemon whose floor is above it was not asked.
    const isEffective = job.flow !== null && LANE_TABLE[job.flow.lane].price === "effective";
    const floor = isEffective ? daemon.floor : null;
    return { job, daemon, lease, terms: auction?.terms ?? { rate: job.rate, floor }, auction };
  }

  /** A relay says that a job runs. Adopts leases that this pool does not know, as after a restart. */
  running({ job, fence, daemon, account, lane, race }: RunningLease, now: number): void {
    const lease = this.#leases.get(job, fence);
    if (lease !== undefined) return this.#leases.take(lease);
    if (race === null && this.#leases.at(job).length > 0) return;
    // Granted by this pool and ended since: a report that comes twice, or late, must not take the slot again.
    if (fence >= this.#firstFence) return;
    const known = this.daemons.get(daemon);
    if (known === undefined) return;
    this.#supply.took(known, job);
    this.#public.moved(known);
    this.#leases.add(adoptedLease({ job, fence, daemon, account, lane, race }, now, this.#parameters));
  }

  /**
   * A relay says that a job ended: its slot is free, the estimate gives way to what was used, and its daemon stands by what
   * it has shown. `shown` is null where nobody can say what that is.
   */
  ended(job: JobId, fence: number, tokens: Tokens | null, now: number, shown: Shown | null = null): void {
    const lease = this.#leases.get(job, fence);
    if (lease === undefined) return;
    if (shown !== null) {
      this.#standings.ended(lease.daemon, shown.effect, shown.speed, now);
      this.#restand(lease.daemon);
    }
    this.#endLease(lease, tokens, now);
  }

  /** A probe of a daemon in quarantine has shown something. */
  probed(daemon: DaemonId, result: ProbeResult, now: number): void {
    this.#standings.probed(daemon, result, now);
    this.#restand(daemon);
  }

  /** Takes over what a daemon has shown of itself, and of its owner. */
  #restand(id: DaemonId): void {
    const daemon = this.daemons.get(id);
    if (daemon === undefined) return;
    const before = daemon.standing;
    const standing = this.#standings.standing(id, daemon);
    this.#supply.stands(daemon, standing);
    const floor = this.#standings.floor(id, daemon);
    const isOther = !isLike(floor, daemon.floor);
    if (isOther) daemon.floor = floor;
    // Who waits may have nobody any more, or somebody again.
    if (isOther || standing.quarantined !== before.quarantined) {
      this.#public.offered(daemon);
      this.#changed(null);
    } else this.#public.moved(daemon);
    if (standing.newcomer === before.newcomer) return;
    for (const other of this.daemons.values()) {
      if (other.provider === daemon.provider && other.standing.newcomer !== standing.newcomer)
        this.#restand(other.daemon);
    }
  }

  #endLease(lease: Lease, tokens: Tokens | null, now: number): void {
    this.#leases.remove(lease);
    const { job, flow, reserved, units, lane } = lease;
    if (tokens !== null && lane !== null) this.#served.add(lane, this.#units(tokens), now);
    if (flow !== null && reserved) this.#freeReserved(flow, now);
    else if (flow !== null) {
      const used = tokens === null ? 0 : this.#units(tokens);
      this.#queue.correct(flow, used - units);
    }
    this.#freed(this.#supply.ended(lease.daemon, job, now));
  }

  #freed(daemon: Daemon | null): void {
    if (daemon === null) return;
    this.#public.moved(daemon);
    this.#queue.unblock((waiting) => couldServe(daemon, waiting));
  }

  /** A relay says how many jobs a daemon has for other pools, which it has no slots for here. */
  elsewhere(daemon: DaemonId, jobs: number): void {
    this.#freed(this.#supply.serves(daemon, jobs));
  }

  /** The leases of a job: none, one, or two while daemons race for it. */
  leasesAt(job: JobId): readonly Lease[] {
    return this.#leases.at(job);
  }

  /** The leases that nobody took up in time, and the ones whose hold is over. They stay until `ended` is called. */
  lapsed(now: number): Lease[] {
    return this.#leases.lapsed(now);
  }

  /** Takes out the jobs that waited too long, or that nobody here could serve once the grace for an empty pool is over. */
  rejections(now: number): Rejection[] {
    const waiting = {
      queue: this.#queue,
      own: this.#own,
      times: this.#times,
      needsOf: (job: WaitingJob) => (job.flow === null ? job.job : needsOf(job, this.#vocabulary)),
    };
    if (this.#supplyChanged) doubtAll(waiting, this.daemons);
    this.#supplyChanged = false;
    const rejections = dueRefusals(waiting, this.daemons, now);
    for (const { job } of rejections) this.withdraw(job.job, now);
    return [...rejections, ...this.#public.takeTooDear(now, ({ job }) => this.withdraw(job, now))];
  }

  /** When something has to be looked at: a job to refuse, a lease that nobody took up. Null while there is no such thing. */
  nextDue(now: number): number | null {
    const due = Math.min(this.#times.nextDue, this.#leases.nextDue(now), this.#public.nextDue(now));
    return Number.isFinite(due) ? due : null;
  }

  /** The place of a waiting job by today's estimates, from 1; null when it does not wait. */
  position(id: JobId): number | null {
    const own = this.#own.position(id);
    const ahead = this.#queue.ahead(id);
    return own ?? (ahead === null ? null : ahead.jobs + 1);
  }

  /** What the public lane asks now. */
  get prices(): ReturnType<PublicLane["prices"]> {
    return this.#public.prices();
  }

  /** What each lane waits for, runs, and was served of late. */
  lanes(now: number): LaneFigures[] {
    return this.#served.figures(this.#queue, this.#leases, now);
  }

  /** The fairness counters, for the next life of the pool. */
  fairness(): Fairness {
    return this.#queue.snapshot();
  }

  /** Goes on with the counters of an earlier life; to be called before anything waits. */
  restoreFairness(counters: Fairness): void {
    this.#queue.restore(counters);
  }

  #units(tokens: Tokens): number {
    const { promptTokenUnits, completionTokenUnits } = this.#parameters;
    return promptTokenUnits * tokens.prompt + completionTokenUnits * tokens.completion;
  }
}

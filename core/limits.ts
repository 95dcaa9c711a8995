/** Every bound that is not a rule of the market, with its arithmetic. Rules are in `parameters.ts`. */

import { DAY_MS } from "./time.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

export const LIMITS = {
  /** A chat body with a few images as data URLs; an object's RPC carries 32 MiB, a WebSocket message 1 MiB to 32 MiB. */
  requestBodyBytes: 8 * MIB,
  /** A body of the network API: keys, enrolments and a catalog entry are far below it. */
  networkBodyBytes: 64 * KIB,
  /** Messages of one request: far above any chat, far below what makes validation slow. */
  messages: 2_048,
  /** Choices of one request: each is one more pair of digests in the relay. */
  choices: 8,
  /** OpenAI's own bound. */
  stopSequences: 4,
  /** Printable, long enough for a UUID with a prefix. */
  idempotencyKeyCharacters: 255,
  /** An answer that is collected for a plain (not streaming) call: 32,768 tokens of 64 bytes with log probabilities. */
  collectedAnswerBytes: 8 * MIB,

  /** A text control message from a daemon: an offer of 32 models with features is under 32 KiB. */
  daemonTextBytes: 64 * KIB,
  /** A binary frame: 8 bytes of head and 32 tokens with log probabilities of 20 candidates each (≈ 2 KiB a token). */
  daemonFrameBytes: 128 * KIB,
  /** What a daemon says in one turn: one of the largest frames with many others; everyday ones have a hundred bytes. */
  daemonPackBytes: 256 * KIB,
  /** Fits a hibernating socket's attachment (16 KiB) together with its session. */
  daemonModels: 32,
  daemonSlots: 1_024,
  daemonFeatures: 32,
  daemonNameCharacters: 64,
  /** Reasons for which a daemon may have withdrawn. */
  daemonGates: 8,
  /** An operator's message to daemons; it is shown on one line of their logs. */
  operatorMessageCharacters: 1_024,
  /** The newest messages that a daemon is welcomed with: with their ids 18 KiB, under a WebSocket message's 1 MiB by far. */
  operatorMessages: 16,
  /** How long a message may be told to daemons that connect. */
  operatorMessageMs: 366 * DAY_MS,
  /** Bad messages in a session before it is closed: enough to debug, too few to burn an object. */
  daemonBadMessages: 32,
  /** Streams of one daemon send on this beat, so that their frames share a message; it shifts a frame by half of it at most. */
  flushBeatMs: 25,
  /** How long a challenge may be answered. */
  challengeMs: 30 * SECOND_MS,
  /** A stream is cut this long after its daemon was to end it by itself, so that its last frames still count. */
  daemonDeadlineMarginMs: 1 * SECOND_MS,
  /** How long a daemon may take to accept or decline (interfaces.md §3). */
  acceptMs: 1 * SECOND_MS,
  /** After a cancel the daemon has this long to hand in its claim; then nothing is charged. */
  claimAfterCancelMs: 5 * SECOND_MS,
  /** Bytes of one stream that the relay holds for a slow reader before it pauses the daemon … */
  streamHighWaterBytes: 64 * KIB,
  /** … and below which it resumes it. */
  streamLowWaterBytes: 16 * KIB,
  /** What arrives within a round trip after a pause is far less than this: who sends more does not heed it, and is cut. */
  streamMostBytes: 1 * MIB,
  /** A consumer may keep its stream paused for this long in all (economics.md §6). */
  streamPausedMs: 60 * SECOND_MS,
  /** An idle stream gets an SSE comment this often. */
  streamCommentMs: 15 * SECOND_MS,
  /** The gateway sends its headers after this long at the latest (architecture.md, step 3). */
  headersAfterMs: 10 * SECOND_MS,
  /** A pool without daemons is given this long before a job is refused: a deploy closes every socket, daemons come back in seconds. */
  emptyPoolMs: 5 * SECOND_MS,
  /** A granted lease that no relay has taken up lapses (economics.md §6). */
  leaseMs: 5 * SECOND_MS,
  /**
   * The relay reports a job that still runs after this long; a shorter one is reported once, at its end. Until then the
   * lease's timer keeps the scheduler awake: a second of that costs $1.6 a million jobs where jobs do not overlap.
   */
  leaseReportMs: 50,
  /** Requests with known answers of one model, and answers of one request: engines and hardware differ in the last bit. */
  probesOfModel: 256,
  probeAnswers: 16,
  /** A shorter beginning of an answer would be guessed. */
  probeAnswerCharacters: { least: 4, most: 4_096 },
  /** A probe takes this long at most: some twenty tokens of a slow machine with its model on disk. */
  probeMs: 60 * SECOND_MS,
  /** Scores that have changed are written this often at most while a pool has jobs, so that no job costs a row … */
  scoresMs: 30 * SECOND_MS,
  /** … and this often where it has none, as its object may sleep then and forget. */
  scoresIdleMs: 5 * SECOND_MS,
  /** What a relay has to tell a scheduler waits this long for more, unless somebody may be waiting for the slot. */
  reportsMs: 25,
  /** Jobs that may wait in one pool: at 1 KiB each, an eighth of an object's 128 MiB. */
  poolWaiting: 16_384,
  /** Of those, jobs of one account that wait for its own daemons: they take no place that others pay for. */
  ownWaiting: 128,
  /** A race's winner is remembered for longer than any hold lives. */
  raceKeptMs: 60 * MINUTE_MS,
  /** What a pool dispatches while jobs wait counts half after this long: a few jobs' time, and soon enough for a rush. */
  drainHalfLifeMs: 30 * SECOND_MS,
  /** `Retry-After` of a job that found no place in time is at least and at most so much … */
  retryAfterLeastSeconds: 1,
  retryAfterMostSeconds: 300,
  /** … and this where the pool's pace is not known, or has nothing to do with it: daemons come back in seconds. */
  retryAfterDefaultSeconds: 5,
  /** A pool as old as this, and a daemon that has been away for as long, are taken for what they are; before it others may come. */
  settledPoolMs: 60 * SECOND_MS,
  /** One decision in this time is looked into for every daemon of a pool (a thousand take some 0.2 ms) … */
  whySampleMs: 250,
  /** … and counted for the last hour, in steps of five minutes. */
  whyBucketMs: 5 * MINUTE_MS,
  whyBuckets: 12,

  /** Asks that the record of an auction lists, at 0.4 KiB each; with them it stays below the second number. */
  auctionAsks: 64,
  auctionRecordBytes: 48 * KIB,
  /** Days ahead for which the secrets of draws are committed to, and days back that are listed. */
  drawDaysAhead: 7,
  drawDaysListed: 30,
  /** Newcomers of whom one is drawn: of more than these the lowest asks take part. */
  auctionNewcomers: 32,

  /** Open holds of one account: at 0.5 KiB each, 2 MiB of memory and one snapshot row under SQLite's 2 MiB. */
  openHolds: 2_048,
  /** Live lots of one account; a top-up, a package or a received transfer makes one. */
  lots: 512,
  /** Slots that one package may reserve. */
  packageSlots: 10_000,
  /** API keys of one account that are not revoked. */
  apiKeys: 256,
  /** Keys of one account in all its time: what each has spent is kept, at 0.3 KiB, in a snapshot row under 2 MiB. */
  apiKeysEver: 4_096,
  keyNameCharacters: 64,
  /** Members of one account, and all that it ever had: a row of 0.2 KiB each, kept in memory. */
  members: 100,
  membersEver: 1_024,
  memberNameCharacters: 64,
  /** Invites of one account that still count, and all that it ever made. */
  invites: 64,
  invitesEver: 4_096,
  inviteUses: 100,
  /** How long an invite may count: a month, and a week unless a call says otherwise. */
  inviteMs: 30 * DAY_MS,
  inviteDefaultMs: 7 * DAY_MS,
  /** Open private networks that one account has made, and those that it is in: as many as an offer may name. */
  networks: 16,
  memberNetworks: 64,
  networkNameCharacters: 64,
  /** Members of one private network: a list that nobody has to turn pages of. */
  networkMembers: 256,
  networkInvites: 64,
  networkInvitesEver: 4_096,
  /** Models that a private network has a rate for: at 200 bytes each, 13 KB of its row. */
  networkRates: 64,
  /** A dollar for 1,000 tokens, 700 times the dearest model's: with it the longest job's worst price is a safe integer. */
  networkRateNanoUsd: 1_000_000_000,
  /** How long an isolate trusts that an account is a private network's member. */
  networkCacheMs: 5 * SECOND_MS,
  /** How long a challenge of a wallet may be answered: a hardware wallet and its owner need a minute or two. */
  signInChallengeMs: 5 * MINUTE_MS,
  /** Expired challenges that go with each new one: more than come, so that what is kept is five minutes of asking. */
  challengesSwept: 16,
  /** A session's access token, and the session itself, whatever is refreshed in between. */
  sessionAccessMs: 60 * MINUTE_MS,
  sessionMs: 30 * DAY_MS,
  /** A session of a recovery wallet, which links another one and nothing else. */
  recoverySessionMs: 15 * MINUTE_MS,
  /** The access token before a refresh is taken for as long as a slice's lease may know it. */
  sessionOverlapMs: 60 * SECOND_MS,
  /** Sessions of one member; a further one ends the oldest. At 0.5 KiB each, 100 members have 1 MiB of memory. */
  memberSessions: 16,
  /** Refreshes of one session, each a row until it ends: six an hour for a month. */
  sessionRefreshes: 4_096,
  /** How long a sign-in waits for Solana to tell a wallet's history; without it the next one asks again. */
  walletHistoryMs: 5 * SECOND_MS,
  /** Wallets of one member, recovery wallets too. */
  memberWallets: 16,
  /** Why something was done that an operator answers for. */
  reasonCharacters: 256,
  /** A proposal to reverse a receipt waits this long for a second operator. */
  reversalProposalMs: 7 * DAY_MS,
  /** Models that one key may be bound to: at 128 characters each, 8 KiB of its row. */
  keyModels: 64,
  /** How long the secret from before a rotation may still be taken: a week, and a day unless a call says otherwise. */
  keyOverlapSeconds: 7 * 86_400,
  keyOverlapDefaultSeconds: 86_400,
  /** Jobs that a key may begin in a minute unless it says less: 500 a second is what one object can commit. */
  requestsPerMinute: 30_000,
  /** A gateway's clock and an object's differ by less than this; a job id from further away is refused. */
  clockSkewMs: 2 * MINUTE_MS,
  /** Entries between two snapshots of an account: bounds what a cold start reads. */
  snapshotEntries: 512,
  /** The account looks after open holds and unconfirmed receipts this long after it was last used (architecture.md, step 6). */
  accountAlarmMs: 15 * MINUTE_MS,
  /** Jobs that an account begins in a second before slices take some of them: half of what one object can commit. */
  hotHoldsPerSecond: 250,
  /** Slices of one account: with it they commit some 8,000 jobs a second. */
  slices: 16,
  /** A slice's lease ends after this long unless it is renewed, which happens three times as often. */
  sliceLeaseMs: 60 * SECOND_MS,
  sliceRenewMs: 20 * SECOND_MS,
  /** What a slice is lent covers so many of the dearest jobs of late; with less than that the account keeps it together. */
  sliceLeastJobs: 64,
  /** A transfer whose recipient could not be reached is brought again after this long. */
  transferRetryMs: 5 * SECOND_MS,
  transferMemoCharacters: 256,
  /** Live connections to one account's balance: each change is one message to every one of them. */
  watchers: 32,
  /** Changes of a balance wait this long for more: ten messages a second however many jobs an account runs. */
  liveCoalesceMs: 100,
  /** Entries that one live message lists: half a second of the most that one object commits. The ledger has the rest. */
  liveEntries: 256,
  /** What a watcher may leave unacknowledged: some 800 changes of 0.3 KiB, and three times a snapshot of all lots. */
  liveUnreadBytes: 256 * KIB,
  liveAckCharacters: 256,
  /** An event stream of the balance ends after this long (interfaces.md §2); its reader comes back and misses nothing. */
  liveStreamMs: 10 * MINUTE_MS,
  /** The next day's row is estimated this often by each isolate: it reads every account's stake. */
  epochsFreshMs: 5 * MINUTE_MS,
  /** So long it waits for what the chain says of the treasury, which counts as unknown then. */
  estimatePatienceMs: 2 * SECOND_MS,

  /** The sums that must be zero are added up this often by each isolate: they read all of the journal … */
  invariantsFreshMs: 30 * SECOND_MS,
  /** … and ask so many accounts for so many entries. */
  invariantsSample: { accounts: 4, rows: 64 },
  /** How long a deposit may be paid as it was asked for: long enough for a treasury with several signers. */
  depositIntentMs: DAY_MS,
  /** An intent's reference is looked at for so long after it has ended, as somebody may pay late. */
  depositLateMs: 7 * DAY_MS,
  /** Intents of one account that wait to be paid. */
  depositIntents: 64,
  /** The least and the most that one intent asks for: a cent, and what fits an account's bound many times over. */
  depositLeastNanoUsd: 10_000_000,
  depositMostNanoUsd: 1_000_000_000_000_000,
  /** While somebody watches an intent, its reference is looked at this often. */
  depositWatchMs: 1_500,
  /**
   * What one scan takes on: each new transaction is some six calls, and a Worker has a thousand. A page of the treasury's
   * signatures is smaller, so that a scan ends between pages.
   */
  depositTransactions: 100,
  depositPage: 50,
  depositPages: 20,
  depositReferences: 50,
  /** Half done deposits that a scan ends. */
  depositsDue: 100,
  /** A scan begins so many slots (ten minutes) before what was looked at, as a node may learn of a transaction late. */
  depositOverlapSlots: 1_500,
  /** A call of a Solana node. Four tries of it fit a scan. */
  solanaCallMs: 10 * SECOND_MS,
  solanaAttempts: 4,
  solanaFirstDelayMs: 250,
  /** How long a payment that a 402 asks for may be sent (docs/x402.md): agents pay at once, people look first. */
  x402ChallengeMs: 10 * MINUTE_MS,
  /** A payment is final after some 13 s on Solana's mainnet. A call waits for it so long, and then its client asks again. */
  x402WaitMs: 60 * SECOND_MS,
  x402PollMs: 500,
  /** Looks at a payment between two sendings of the same bytes: leaders drop some. */
  x402LooksPerSend: 4,
  /** A header of it has a transaction of 1,232 bytes, in base64 twice, and what it was asked for. */
  x402HeaderCharacters: 16_384,
  /** What the network pays for a payment beyond its two signatures, in lamports: some 0.2 cents at $200 for a SOL. */
  x402PriorityLamports: 10_000,
  /** A payment takes some 15,000 compute units; wallets ask for more. */
  x402ComputeUnits: 200_000,
  /** Payments of one account that are under way or have failed within an hour: each of them costs the network a fee. */
  x402OpenPayments: 8,
  x402OpenMs: 60 * MINUTE_MS,
  /** Payments under way that one scan looks after. */
  x402Due: 50,
  /** A blockhash is taken for so many blocks. */
  x402BlockhashBlocks: 150,
  /** A proposal of what becomes of a deposit waits this long for a second operator. */
  depositProposalMs: 7 * DAY_MS,
  /** Receipts that an account re-emits in one alarm. */
  reemitReceipts: 256,

  /** A queue message: 128 KB is the platform's bound, its envelope takes some. */
  queueMessageBytes: 110_000,
  queueFlushMs: 500,
  /** What one call may send to a queue: 100 messages and 256 KB, of which their envelopes take some. */
  queueSendMessages: 100,
  queueSendBytes: 220_000,
  /** A message that could not be handled comes back after 10 s, then after four times as long each time … */
  queueRetrySeconds: 10,
  /** … and at the latest after the longest delay that queues allow. */
  queueRetryMaxSeconds: 43_200,
  /** Receipts that are looked through for failed checks at once, some 50 ms of D1, and those that are taken back at once … */
  checkLookRows: 10_000,
  checkReversals: 64,
  /** … and rounds of both after one batch of the queue: at most 500 calls of accounts, where a Worker may have a thousand. */
  checkRounds: 8,
  /** A receipt that could not be taken back now is tried again after this long at the latest. */
  checkRetrySeconds: 3_600,
  /** Accounts without a row that are listed at once: 10 ms of hashing. */
  listedAccounts: 500,
  /** How often the log's appender reads again after another one was faster; `max_concurrency = 1` makes that rare. */
  appendAttempts: 5,
  /** Rows of one json_each parameter: a slim row is at most 1.6 KB of JSON, and a bound text may have at most 2 MB. */
  jsonRows: 1_000,
  /** Receipts that a relay keeps while the queue is away, at 3 KiB each; the rest comes back with claims and alarms. */
  outboxReceipts: 4_096,
  /**
   * The service level of a day is measured so long after its end: every hold of the day has ended by then. Where parameters
   * let jobs wait longer, it is measured when the last one has.
   */
  serviceDelayMs: 15 * MINUTE_MS,
  /** Entries that are measured in one turn: some 30 ms in which the account does nothing else. */
  serviceRows: 1_000,
  /** Days whose service levels one call lists. */
  serviceDays: 366,
  /** Entries that one call to an account sums up: some 30 ms in which it does nothing else, and the calls of one page. */
  usageRows: 1_000,
  usageCalls: 100,
  /** Accounts of one `getMultipleAccounts`, a bound of every node … */
  rpcAccounts: 100,
  /** … calls of one HTTP request to a node, whose answer then has some 400 KiB, and such requests at a time: of the six … */
  rpcBatchCalls: 100,
  /** … connections that a Worker may have open at once, one stays free. */
  rpcConnections: 5,
  rpcTimeoutMs: 10 * SECOND_MS,
  rpcAttempts: 4,
  rpcRetryMs: 250,
  /** Signatures of one `getSignaturesForAddress`, a bound of every node; the first page of a quiet account needs few. */
  rpcSignatures: 1_000,
  rpcFirstSignatures: 20,
  /** Wallets of one step of a stake snapshot: ten calls for their balances, a thousand for their movements, one D1 batch. */
  stakeWallets: 1_000,
  /** Of those, token accounts in more transactions than a first page lists: at 1,000 signatures each, 20 MiB … */
  stakeBusyWallets: 200,
  /** … as more of them are not read: the latest ones are. */
  stakeWalletTransactions: 1_000,
  /** Transactions that one step reads, in 100 requests, so many at a time: at 25 KiB each, 12 MiB. */
  stakeTransactions: 10_000,
  stakeTransactionsAtOnce: 500,
  /** A node writes its history a little after its state: as many slots as make a block final. */
  stakeHistorySlots: 32,
  /** One poke reads stake for so long: a little less than the minute after which the next one comes. */
  stakeStretchMs: 55 * SECOND_MS,
  /** Whole snapshots that are kept: the two that count today, and the two that counted yesterday. */
  stakeSnapshots: 3,
  /** Epochs whose accounts' stakes are kept: the next one's, today's, and some to look into. */
  stakeEpochs: 7,
  /** Rows of snapshots that one statement forgets. */
  stakeForgottenRows: 5_000,
  /** Rows of a page. */
  pageRows: 100,
  maxPageRows: 1_000,
  /** What a pool's cheapest floor asks is learned behind a call when it is so old, and before one when it is that old. */
  leastAskFreshMs: 5 * SECOND_MS,
  leastAskStaleMs: MINUTE_MS,
  /** How long an isolate trusts its copy of the catalog. */
  catalogCacheMs: 5 * SECOND_MS,
} as const;

/** The hold lives as long as the lane's queue limit + 600 s + 120 s (economics.md §6). */
export const HOLD_SLA_MS = 600 * SECOND_MS;
export const HOLD_GRACE_MS = 120 * SECOND_MS;
/** A stream is ended this long before its hold would expire (economics.md §6). */
export const HOLD_END_MARGIN_MS = 30 * SECOND_MS;

CREATE TABLE `x402_payments` (
	`account` text NOT NULL,
	`intent` text NOT NULL,
	`signature` text NOT NULL,
	`bytes` text NOT NULL,
	`payer` text NOT NULL,
	`micro_usdc` integer NOT NULL,
	`last_block` integer NOT NULL,
	`state` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`account`, `intent`),
	CONSTRAINT "x402_payments_state" CHECK("x402_payments"."state" IN ('pending', 'final', 'failed', 'expired')),
	CONSTRAINT "x402_payments_amount" CHECK("x402_payments"."micro_usdc" > 0 AND "x402_payments"."last_block" >= 0)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `x402_payments_signature` ON `x402_payments` (`signature`);--> statement-breakpoint
CREATE UNIQUE INDEX `x402_payments_payer` ON `x402_payments` (`payer`) WHERE "x402_payments"."state" = 'pending';--> statement-breakpoint
CREATE INDEX `x402_payments_due` ON `x402_payments` (`created_at`) WHERE "x402_payments"."state" = 'pending';--> statement-breakpoint
CREATE INDEX `x402_payments_account` ON `x402_payments` (`account`,`created_at`);--> statement-breakpoint
ALTER TABLE `deposit_intents` ADD `via` text DEFAULT 'link' NOT NULL;
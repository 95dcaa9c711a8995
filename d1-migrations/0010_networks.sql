CREATE TABLE `network_invites` (
	`id` text PRIMARY KEY NOT NULL,
	`network` text NOT NULL,
	`secret_hash` text NOT NULL,
	`name` text,
	`uses` integer NOT NULL,
	`made` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL,
	`revoked_at` integer,
	CONSTRAINT "network_invites_uses" CHECK("network_invites"."uses" > 0)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `network_invites_network` ON `network_invites` (`network`);--> statement-breakpoint
CREATE UNIQUE INDEX `network_invites_secret` ON `network_invites` (`secret_hash`);--> statement-breakpoint
CREATE TABLE `network_members` (
	`network` text NOT NULL,
	`account` text NOT NULL,
	`joined_at` integer NOT NULL,
	`pseudonym` text NOT NULL,
	`name` text,
	`invite` text,
	`ended_at` integer,
	PRIMARY KEY(`network`, `account`, `joined_at`)
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE UNIQUE INDEX `network_members_live` ON `network_members` (`network`,`account`) WHERE "network_members"."ended_at" IS NULL;--> statement-breakpoint
CREATE INDEX `network_members_account` ON `network_members` (`account`) WHERE "network_members"."ended_at" IS NULL;--> statement-breakpoint
CREATE INDEX `network_members_invite` ON `network_members` (`invite`);--> statement-breakpoint
CREATE TABLE `networks` (
	`id` text PRIMARY KEY NOT NULL,
	`account` text NOT NULL,
	`name` text NOT NULL,
	`rates` text NOT NULL,
	`made` text NOT NULL,
	`created_at` integer NOT NULL,
	`closed_at` integer,
	CONSTRAINT "networks_rates" CHECK(json_type("networks"."rates") = 'object')
) STRICT, WITHOUT ROWID;
--> statement-breakpoint
CREATE INDEX `networks_account` ON `networks` (`account`) WHERE "networks"."closed_at" IS NULL;
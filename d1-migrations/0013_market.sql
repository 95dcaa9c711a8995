CREATE TABLE `auction_draws` (
	`day` integer PRIMARY KEY NOT NULL,
	`commitment` text NOT NULL,
	`published_at` integer NOT NULL,
	`secret` text,
	CONSTRAINT "auction_draws_commitment" CHECK(length("auction_draws"."commitment") = 64),
	CONSTRAINT "auction_draws_secret" CHECK("auction_draws"."secret" IS NULL OR length("auction_draws"."secret") = 64)
) STRICT;

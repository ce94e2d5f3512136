-- What `prisma db push` makes of schema.prisma, for machines where its engine cannot be had.
create type "Mood" as enum ('sad', 'happy');
create table "Person" (
    "id" serial primary key, "name" text not null, "mood" "Mood" not null default 'happy', "details" jsonb,
    "tags" text[], "token" uuid, "wealth" decimal(12, 2), "born" timestamp(3), "photo" bytea, "big" bigint
);
create unique index "Person_name_key" on "Person"("name");
create table "Order" (
    "id" serial primary key, "amount" integer not null,
    "personId" integer not null references "Person"("id") on delete cascade on update cascade
);

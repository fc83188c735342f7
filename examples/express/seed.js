// Fills the migrated database: node seed.js PRODUCTS
import knex from "knex";
import config from "./knexfile.js";

const db = knex(config);
await db.raw(
  "insert into products (category, cents) select n % 50, n % 9000 from generate_series(1, ?::int) n",
  [Number(process.argv[2])],
);
await db.destroy();

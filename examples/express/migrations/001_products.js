export async function up(knex) {
  await knex.schema.createTable("products", (table) => {
    table.increments("id");
    table.integer("category").notNullable();
    table.integer("cents").notNullable();
  });
}

export async function down(knex) {
  await knex.schema.dropTable("products");
}

"""TypeScript types of the schema, in the shape that supabase-js takes: drift shows when a program is compiled."""

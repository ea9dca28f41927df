"""What is not served here goes to the configured Supabase as it is: auth, storage, functions, realtime, GraphQL, and some reads."""

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">

type DefaultSchema = DatabaseWithoutInternals["public"]

type Elsewhere = { schema: keyof DatabaseWithoutInternals }

type Readable<Schema extends { Tables: unknown; Views: unknown }> =
  & Schema["Tables"]
  & Schema["Views"]

type Part<From, Name, Shape extends "Row" | "Insert" | "Update"> = Name extends
  keyof From
  ? From[Name] extends { [each in Shape]: infer Found } ? Found : never
  : never

export type Tables<
  Name extends keyof Readable<DefaultSchema> | Elsewhere,
  There extends Name extends Elsewhere
    ? keyof Readable<DatabaseWithoutInternals[Name["schema"]]>
    : never = never,
> = Name extends Elsewhere
  ? Part<Readable<DatabaseWithoutInternals[Name["schema"]]>, There, "Row">
  : Part<Readable<DefaultSchema>, Name, "Row">

export type TablesInsert<
  Name extends keyof DefaultSchema["Tables"] | Elsewhere,
  There extends Name extends Elsewhere
    ? keyof DatabaseWithoutInternals[Name["schema"]]["Tables"]
    : never = never,
> = Name extends Elsewhere
  ? Part<DatabaseWithoutInternals[Name["schema"]]["Tables"], There, "Insert">
  : Part<DefaultSchema["Tables"], Name, "Insert">

export type TablesUpdate<
  Name extends keyof DefaultSchema["Tables"] | Elsewhere,
  There extends Name extends Elsewhere
    ? keyof DatabaseWithoutInternals[Name["schema"]]["Tables"]
    : never = never,
> = Name extends Elsewhere
  ? Part<DatabaseWithoutInternals[Name["schema"]]["Tables"], There, "Update">
  : Part<DefaultSchema["Tables"], Name, "Update">

export type Enums<
  Name extends keyof DefaultSchema["Enums"] | Elsewhere,
  There extends Name extends Elsewhere
    ? keyof DatabaseWithoutInternals[Name["schema"]]["Enums"]
    : never = never,
> = Name extends Elsewhere
  ? DatabaseWithoutInternals[Name["schema"]]["Enums"][There]
  : Name extends keyof DefaultSchema["Enums"] ? DefaultSchema["Enums"][Name]
  : never

export type CompositeTypes<
  Name extends keyof DefaultSchema["CompositeTypes"] | Elsewhere,
  There extends Name extends Elsewhere
    ? keyof DatabaseWithoutInternals[Name["schema"]]["CompositeTypes"]
    : never = never,
> = Name extends Elsewhere
  ? DatabaseWithoutInternals[Name["schema"]]["CompositeTypes"][There]
  : Name extends keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][Name]
  : never

// Feeds docs/snippets/Verify.cs; drive.mjs says what the lines are.
using System;
using System.Linq;
using System.Text;

static class Drive
{
    static void Main()
    {
        for (var line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            var values = line.Split(' ').Select(field => field == "-" ? null : Convert.FromBase64String(field.Substring(1))).ToArray();
            var texts = values.Select(value => value == null ? null : Encoding.UTF8.GetString(value)).ToArray();
            var pendo = Verify.Pendo(texts[0], values[2], texts[3]);
            var standard = Verify.Standard(texts[1], values[2], texts[4], texts[5], texts[6]);
            Console.WriteLine(Word(pendo) + " " + Word(standard));
        }
    }

    static string Word(bool genuine) => genuine ? "ok" : "refused";
}

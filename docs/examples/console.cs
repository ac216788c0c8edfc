// A console in C# 7 on Linux: P/Invoke of edge_sacro.h.
//
//   mcs console.cs && export EDGE_SACRO_PYTHON=$(edge-sacro embed python)
//   LD_LIBRARY_PATH=$(dirname $(edge-sacro embed library)) mono console.exe study.dcm
using System;
using System.Runtime.InteropServices;
using System.Text;

static class Native
{
    const string Library = "edge_sacro"; // libedge_sacro.so

    // Field by field as in the header. Strings are UTF-8, or null.
    [StructLayout(LayoutKind.Sequential)]
    public struct Options
    {
        public UIntPtr Size;
        public IntPtr Python, Bundle, Backend, Engines, Precision, OperatingPoint, Overrides, Trust, TrustState, LogPath;
        public ulong MemoryLimitBytes;
        public uint StartDeadlineMs, Threads;
    }

    [StructLayout(LayoutKind.Sequential)]
    public struct Error
    {
        public int Status;
        [MarshalAs(UnmanagedType.ByValArray, SizeConst = 60)] public byte[] Code;
        [MarshalAs(UnmanagedType.ByValArray, SizeConst = 1024)] public byte[] Text;
        [MarshalAs(UnmanagedType.ByValArray, SizeConst = 1024)] public byte[] Remedy;

        public override string ToString() => $"{Read(Text)} [{Read(Code)}] {Read(Remedy)}";

        static string Read(byte[] field) => Encoding.UTF8.GetString(field, 0, Array.IndexOf(field, (byte)0));
    }

    // A handle that is not null is closed exactly once, and never during a call.
    public sealed class Runtime : SafeHandle
    {
        public Runtime() : base(IntPtr.Zero, true) { }
        public override bool IsInvalid => handle == IntPtr.Zero;
        protected override bool ReleaseHandle() { es_close(handle); return true; }
    }

    public sealed class Result : SafeHandle
    {
        public Result() : base(IntPtr.Zero, true) { }
        public override bool IsInvalid => handle == IntPtr.Zero;
        protected override bool ReleaseHandle() { es_result_free(handle); return true; }
    }

    [DllImport(Library)] public static extern int es_open(ref Options options, out Runtime runtime, out Error error);
    [DllImport(Library)] static extern void es_close(IntPtr runtime);
    [DllImport(Library)] public static extern int es_infer_file(
        Runtime runtime, [MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint deadlineMs, out Result result, out Error error);
    [DllImport(Library)] public static extern int es_infer_bytes(
        Runtime runtime, byte[] data, ulong length, [MarshalAs(UnmanagedType.LPUTF8Str)] string name, uint deadlineMs,
        out Result result, out Error error);
    [DllImport(Library)] static extern void es_result_free(IntPtr result);
    [DllImport(Library)] public static extern State es_result_state(Result result);
    [DllImport(Library)] public static extern double es_result_probability(Result result); // NaN where there is none
    [DllImport(Library)] public static extern IntPtr es_result_reason(Result result);
    [DllImport(Library)] public static extern IntPtr es_result_statement(Result result);
    [DllImport(Library)] public static extern int es_result_joint_box(Result result, int side, [Out] int[] box);
}

enum State { None, Positive, Negative, Borderline, Located, NotAssessable, Refused }

static class Program
{
    static int Main(string[] paths)
    {
        var options = new Native.Options { Size = (UIntPtr)Marshal.SizeOf<Native.Options>(), Threads = 2 };
        if (Native.es_open(ref options, out var runtime, out var error) != 0)
        {
            Console.Error.WriteLine(error);
            return 1;
        }
        using (runtime)
        {
            foreach (var path in paths)
            {
                if (Native.es_infer_file(runtime, path, 10_000, out var result, out error) != 0)
                {
                    Console.Error.WriteLine($"{path}: no result: {error}");
                    continue;
                }
                using (result)
                {
                    // Texts live as long as the result: read them before it is disposed.
                    var reason = Marshal.PtrToStringUTF8(Native.es_result_reason(result));
                    Console.WriteLine($"{path}: {Native.es_result_state(result)}: {reason}");
                    var box = new int[4];
                    if (Native.es_result_joint_box(result, 0, box) == 1)
                        Console.WriteLine($"  the patient's left joint: [{string.Join(", ", box)}]");
                    Console.WriteLine($"  {Marshal.PtrToStringUTF8(Native.es_result_statement(result))}");
                }
            }
        }
        return 0;
    }
}
